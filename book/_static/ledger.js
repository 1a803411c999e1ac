// The ledger's search: hides the claims that do not have the words or the verdict. Without JavaScript all are there.
document.addEventListener("DOMContentLoaded", () => {
  for (const ledger of document.querySelectorAll(".ledger")) {
    const form = ledger.querySelector(".ledger-search");
    const claims = [...ledger.querySelectorAll(".claim")];
    const texts = claims.map((claim) => claim.textContent.toLowerCase());
    const filter = () => {
      const words = form.words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      claims.forEach((claim, i) => {
        const verdict = !form.verdict.value || claim.dataset.verdict === form.verdict.value;
        const settled = !form.settled.value || claim.dataset.settled === form.settled.value;
        const found = verdict && settled && words.every((word) => texts[i].includes(word));
        claim.hidden = !found;
        shown += found;
      });
      for (const part of ledger.querySelectorAll(".ledger-part")) {
        part.hidden = !part.querySelector(".claim:not([hidden])");
      }
      form.querySelector("output").textContent = `${shown} of ${claims.length} claims`;
    };
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    // A link to a claim shows it, whatever was searched for.
    window.addEventListener("hashchange", () => {
      const target = document.getElementById(location.hash.slice(1));
      if (target && target.hidden) {
        form.reset();
        filter();
        target.scrollIntoView();
      }
    });
    filter();
  }
});
