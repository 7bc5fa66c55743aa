"use strict";
(() => {
  const pair = document.getElementById("pair");
  if (!pair) return;
  const control = document.getElementById("control");
  const split = document.getElementById("split");

  const show = () => {
    pair.style.setProperty("--at", `${split.value}%`);
    split.setAttribute("aria-valuetext", `${split.value}% before, ${100 - split.value}% after`);
  };
  const follow = (event) => {
    const box = pair.getBoundingClientRect();
    split.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    show();
  };

  pair.classList.add("live");
  document.getElementById("frame").classList.add("live");
  control.hidden = false;
  split.addEventListener("input", show);
  pair.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pair.setPointerCapture(event.pointerId);
    follow(event);
  });
  pair.addEventListener("pointermove", (event) => {
    if (pair.hasPointerCapture(event.pointerId)) follow(event);
  });
  pair.addEventListener("dragstart", (event) => event.preventDefault());
  show();
})();
