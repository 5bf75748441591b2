// Sorts and filters tables, and says the values of a figure under the pointer, a finger or by arrow keys.
// Without it the page is whole: all rows in their order, and the values in tables.

// What a cell is sorted by: its data-key, else the first number in it, else its text.
const keyOf = cell => {
  const text = cell.dataset.key ?? cell.textContent.trim();
  const found = cell.dataset.key === undefined && cell.classList.contains("number")
    ? text.replaceAll(",", "").replace("\u2212", "-").match(/-?\d*\.?\d+(?:e[-+]?\d+)?/i)?.[0] : text;
  return cell.classList.contains("missing") ? undefined : found;
};

// Rows without a key stay at the bottom.
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
  const key = row => keyOf(row.cells[heading.cellIndex]);
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(key(one), key(other), sign));
  table.tBodies[0].append(...rows);
};

// Rows are shown that have every word of the filter; name:word is a word in the columns of that
// name. A number is a whole number of the row: 5 is not 50.
const addFilter = table => {
  const heads = [...table.querySelectorAll("thead th")].map(head => head.textContent.toLowerCase());
  const has = (row, asked) => {
    const [word, name = ""] = asked.split(":").reverse();
    const cells = [...row.cells].filter((_, column) => heads[column].startsWith(name));
    const text = cells.map(cell => cell.textContent.toLowerCase()).join(" ");
    return isNaN(word) ? text.includes(word)
      : !word || text.split(/[\s()%]+|, /).includes(word);
  };
  const label = document.createElement("label"), input = document.createElement("input");
  const count = document.createElement("span"), rows = [...table.tBodies[0].rows];
  label.append("Filter rows ", input);
  input.type = "search";
  input.placeholder = `for example ${heads[0].split(" ")[0]}:${keyOf(rows[0].cells[0]).split(" ")[0]}`;
  count.setAttribute("role", "status");
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      row.hidden = !words.every(word => has(row, word));
    }
    count.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
  };
  input.addEventListener("input", show);
  show();
  const line = document.createElement("div");
  line.className = "filter";
  line.append(label, count);
  table.closest(".scroll").before(line);
};

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 3) continue;
  if (table.tBodies[0].rows.length > 9) addFilter(table);
  for (const heading of table.querySelectorAll("thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortRows(table, heading));
    heading.append(button);
  }
}

// A figure has its values in data-marks: [x, y, words] each, x and y in units of its viewBox.
const value = document.getElementById("page-value");
for (const drawing of document.querySelectorAll(".drawing")) {
  const svg = drawing.firstElementChild, marks = JSON.parse(svg.dataset.marks ?? "[]");
  if (!marks.length) continue;
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("class", "here");
  ring.setAttribute("r", 6);
  let at = -1;
  const hide = () => { ring.remove(); value.hidden = true; };
  const show = index => {
    at = index;
    const [x, y, words] = marks[at];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    svg.append(ring);
    value.textContent = words;
    value.hidden = false;
    const box = ring.getBoundingClientRect(), width = document.documentElement.clientWidth;
    value.style.left = value.style.top = "0";
    const left = box.left + box.width / 2 - value.offsetWidth / 2;
    const above = box.top - value.offsetHeight - 6;
    value.style.left = `${scrollX + Math.max(4, Math.min(left, width - value.offsetWidth - 4))}px`;
    value.style.top = `${scrollY + (above > 0 ? above : box.bottom + 6)}px`;
  };
  const point = event => {
    const scale = svg.viewBox.baseVal.width / svg.clientWidth, box = svg.getBoundingClientRect();
    const [x, y] = [scale * (event.clientX - box.left), scale * (event.clientY - box.top)];
    const far = marks.map(mark => Math.hypot(mark[0] - x, mark[1] - y));
    const nearest = far.indexOf(Math.min(...far));
    far[nearest] < 30 ? show(nearest) : hide();
  };
  drawing.addEventListener("pointermove", point);
  drawing.addEventListener("pointerdown", point);
  drawing.addEventListener("pointerleave", event => {
    if (event.pointerType === "mouse") hide();  // a finger has left: its reader reads the value
  });
  drawing.addEventListener("focus", () => {
    if (drawing.matches(":focus-visible")) show(Math.max(at, 0));
  });
  drawing.addEventListener("blur", hide);
  drawing.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    show((at + step + marks.length) % marks.length);
  });
}

// A link into what is folded opens it; not every browser does.
const openTarget = () => {
  const folded = document.querySelector(":target")?.closest("details");
  if (folded) folded.open = true;
};
addEventListener("hashchange", openTarget);
openTarget();

if (innerWidth < 640) document.querySelector("nav details").open = false;
