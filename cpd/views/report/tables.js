"use strict";
(() => {
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  // A cell as a number where its column holds numbers: the full value if it carries one, else what is written.
  const amount = (cell) => parseFloat(cell.dataset.value ?? cell.textContent);

  function compare(numeric, sign) {
    return (one, other) => {
      if (!numeric) return sign * collator.compare(one.textContent, other.textContent);
      const [a, b] = [amount(one), amount(other)];
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // missing ones last
      return sign * (a - b);
    };
  }

  function sort(table, header) {
    const column = header.cellIndex;
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    const order = compare(header.classList.contains("number"), ascending ? 1 : -1);
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).sort((one, other) => order(one.cells[column], other.cells[column]));
    for (const other of header.parentNode.cells) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    body.append(...rows);
  }

  function filter(table, words, status) {
    const rows = Array.from(table.tBodies[0].rows);
    let shown = 0;
    for (const row of rows) {
      row.words ??= Array.from(row.cells, (cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => row.words.includes(word));
      shown += !row.hidden;
    }
    status.textContent = `${shown} of ${rows.length} rows`;
  }

  for (const box of document.querySelectorAll(".sortable")) {
    const table = box.querySelector("table");
    for (const header of table.tHead.rows[0].cells) {
      header.querySelector("button").addEventListener("click", () => sort(table, header));
    }
    const input = box.querySelector("input");
    const apply = () => filter(table, input.value.toLowerCase().split(/\s+/).filter(Boolean), box.querySelector("output"));
    input.addEventListener("input", apply);
    apply();
  }
})();
