() => {
    // A list that hears of the Tab key opens again once it has lost the focus, and stays open over what is below it.
    document.addEventListener("keydown", event => {
        if (event.key === "Tab" && event.target.matches("[role=combobox]")) event.stopPropagation();
    }, true);

    // Whoever moves a step with the keyboard stays on its button, although the list is drawn anew.
    let held = null, timer = 0;
    const usable = id => [`#${id}`, `#${id} input`].map(css => document.querySelector(css))
        .find(found => found?.matches("button:not(:disabled), input"));
    const back = () => {
        const now = document.activeElement;  // an element that is drawn anew may be used for another step
        if (held === null || (now !== document.body && now.closest("[id^=step-]") === null)) return;
        const row = held.replace(/[a-z]+$/, "");
        const gone = document.querySelector(`[id^=${row}]`) === null;
        (usable(held) ?? usable(`${row}earlier`) ?? usable(`${row}later`) ?? (gone ? usable("rerun") : null))?.focus();
    };
    document.addEventListener("focusin", event => { held = event.target.closest("[id^=step-]")?.id ?? null; });
    document.addEventListener("pointerdown", () => { held = null; }, true);
    new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(back, 150); })
        .observe(document.body, {childList: true, subtree: true});
}
