// Makes every heading of a sortable table a button that sorts the rows by the data-key of its
// column: ascending at first, descending at the second click. Rows without a key stay at the bottom.
const compare = (one, other, sign) => {
  if (one === undefined || other === undefined) {
    return (one === undefined) - (other === undefined);
  }
  return sign * (isNaN(one) || isNaN(other) ? one.localeCompare(other) : one - other);
};

const sortRows = (table, heading) => {
  const order = heading.ariaSort === "ascending" ? "descending" : "ascending";
  table.querySelectorAll("thead th").forEach(other => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const key = row => row.cells[heading.cellIndex].dataset.key;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(key(one), key(other), sign));
  table.tBodies[0].append(...rows);
};

for (const table of document.querySelectorAll(".sortable table")) {
  for (const heading of table.querySelectorAll("thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortRows(table, heading));
    heading.append(button);
  }
}
