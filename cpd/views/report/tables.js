"use strict";
(() => {
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const PAPER = 690; // pixels of a page's width
  const LETTER = 5.6; // of a letter's, and of what is around a cell
  const AROUND = 14;
  const KEPT = 2; // columns that stand first on every part of a table that is cut for paper

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
    const order = compare(header.classList.contains("n"), ascending ? 1 : -1);
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
      if (words.length) row.words ??= Array.from(row.cells, (cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => row.words.includes(word));
      shown += !row.hidden;
    }
    status.textContent = `${shown} of ${rows.length} rows`;
  }

  // One stop for the tab key, however many columns there are: arrow keys go from one to the next.
  function walk(buttons) {
    const steps = { ArrowLeft: (at) => at - 1, ArrowRight: (at) => at + 1, Home: () => 0, End: () => buttons.length - 1 };
    const reach = (chosen) => { for (const button of buttons) button.tabIndex = button === chosen ? 0 : -1; };
    reach(buttons[0]);
    buttons.forEach((button, at) => {
      button.addEventListener("focus", () => reach(button));
      button.addEventListener("keydown", (event) => {
        const step = steps[event.key];
        if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        buttons[Math.min(Math.max(step(at), 0), buttons.length - 1)].focus();
      });
    });
  }

  for (const box of document.querySelectorAll(".sortable")) {
    const table = box.querySelector("table");
    const buttons = Array.from(table.tHead.rows[0].cells, (header) => header.querySelector("button"));
    for (const button of buttons) button.addEventListener("click", () => sort(table, button.parentNode));
    walk(buttons);
    const input = box.querySelector("input");
    if (!input) continue; // a few rows
    const apply = () => filter(table, input.value.toLowerCase().split(/\s+/).filter(Boolean), box.querySelector("output"));
    input.addEventListener("input", apply);
    apply();
  }

  // A column is as wide as its longest cell, and as the longest word of its head. What is laid out is no help:
  // it may be the screen's, or paper's already.
  function widthOf(table, column) {
    const cells = Array.from(table.tBodies[0].rows, (row) => row.cells[column].textContent.length);
    const words = table.tHead.rows[0].cells[column].textContent.split(" ").map((word) => word.length);
    return LETTER * Math.max(...words, cells.reduce((most, letters) => Math.max(most, letters), 0)) + AROUND;
  }

  // The columns of a table in groups that are as wide as a page, each with the first ones.
  function groups(widths) {
    const first = widths.slice(0, KEPT).reduce((sum, width) => sum + width, 0);
    const found = [];
    let room = 0;
    for (let column = KEPT; column < widths.length; column += 1) {
      if (!found.length || widths[column] > room) {
        found.push([]);
        room = Math.max(PAPER - first, 0);
      }
      found.at(-1).push(column);
      room -= widths[column];
    }
    return found.map((group) => [...Array(KEPT).keys(), ...group]);
  }

  function part(table, columns) {
    const copy = document.createElement("table");
    for (const [at, row] of Array.from(table.rows).entries()) {
      const line = row.parentNode === table.tHead ? copy.createTHead().insertRow() : (copy.tBodies[0] ?? copy.createTBody()).insertRow();
      line.className = row.className;
      const number = document.createElement(at ? "td" : "th"); // finds a row again in the other parts
      number.className = "n";
      number.textContent = at || "row";
      line.append(number);
      for (const column of columns) {
        const cell = document.createElement(row.cells[column].tagName);
        cell.className = row.cells[column].className;
        cell.textContent = row.cells[column].textContent;
        line.append(cell);
      }
    }
    return copy;
  }

  // A table that is wider than paper is printed as several below each other.
  addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll(".sortable .scroll")) {
      const table = box.querySelector("table");
      const widths = Array.from(table.tHead.rows[0].cells, (_, column) => widthOf(table, column));
      if (widths.reduce((sum, width) => sum + width, 0) <= PAPER) continue;
      const paper = document.createElement("div");
      paper.className = "paper";
      paper.append(...groups(widths).map((columns) => part(table, columns)));
      box.classList.add("cut");
      box.append(paper);
    }
  });
  addEventListener("afterprint", () => {
    for (const box of document.querySelectorAll(".cut")) {
      box.classList.remove("cut");
      box.querySelector(".paper").remove();
    }
  });
})();
