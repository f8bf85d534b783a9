// Rows of a table as a grid of cells. The textarea keeps them as JSON, so the form works without this.
import { qs, qsa } from "content-editor/utils"

function parse(text) {
  try {
    const rows = JSON.parse(text || "[]")
    return rows.length ? rows : [["", ""], ["", ""]]
  } catch {
    return null
  }
}

class Grid {
  constructor(area) {
    this.area = area
    this.rows = parse(area.value)
    if (!this.rows) return // not understood: the text itself can be mended
    this.table = document.createElement("table")
    this.table.className = "grid"
    this.box = document.createElement("div")
    this.box.className = "grid-box"
    const tools = document.createElement("p")
    tools.className = "grid-tools"
    tools.append(
      this.tool("Add row", () => this.insertRow(this.rows.length)),
      this.tool("Add column", () => this.insertColumn()),
    )
    this.box.append(this.table, tools)
    area.before(this.box)
    area.hidden = true
    this.draw()
  }

  tool(label, action) {
    const button = document.createElement("button")
    button.type = "button"
    button.textContent = label
    button.addEventListener("click", action)
    return button
  }

  get width() {
    return Math.max(1, ...this.rows.map((row) => row.length))
  }

  store() {
    this.area.value = JSON.stringify(this.rows)
    this.area.dispatchEvent(new Event("input", { bubbles: true }))
  }

  change(row, column) {
    this.store()
    this.draw()
    this.cell(row, column)?.focus()
  }

  cell(row, column) {
    return this.table.rows[row]?.cells[column]?.querySelector("textarea")
  }

  insertRow(at) {
    this.rows.splice(at, 0, Array(this.width).fill(""))
    this.change(at, 0)
  }

  insertColumn() {
    const column = this.width
    for (const row of this.rows) row.splice(column, 0, "")
    this.change(0, column)
  }

  removeRow(at) {
    this.rows.splice(at, 1)
    if (!this.rows.length) this.rows.push([""])
    this.change(Math.max(0, at - 1), 0)
  }

  removeColumn(at) {
    if (this.width === 1) return
    for (const row of this.rows) row.splice(at, 1)
    this.change(0, Math.max(0, at - 1))
  }

  paste(event, row, column) {
    const text = event.clipboardData.getData("text/plain")
    if (!text.includes("\t")) return
    event.preventDefault()
    text.replace(/\r?\n$/, "").split(/\r?\n/).forEach((line, down) => {
      line.split("\t").forEach((value, across) => {
        while (this.rows.length <= row + down) this.rows.push([])
        const cells = this.rows[row + down]
        while (cells.length <= column + across) cells.push("")
        cells[column + across] = value
      })
    })
    this.change(row, column)
  }

  draw() {
    const width = this.width
    this.table.replaceChildren()
    this.table.style.minWidth = `${width * 6 + 2}em`
    this.rows.forEach((row, down) => {
      const line = this.table.insertRow()
      for (let across = 0; across < width; across++) {
        const cell = document.createElement("textarea")
        cell.rows = 1
        cell.value = row[across] ?? ""
        cell.setAttribute("aria-label", `Row ${down + 1}, column ${across + 1}`)
        cell.addEventListener("input", () => {
          while (row.length <= across) row.push("")
          row[across] = cell.value
          this.store()
        })
        cell.addEventListener("paste", (event) => this.paste(event, down, across))
        cell.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" || event.shiftKey) return
          event.preventDefault()
          if (down + 1 === this.rows.length) this.insertRow(down + 1)
          this.cell(down + 1, across)?.focus()
        })
        line.insertCell().append(cell)
      }
      const remove = this.tool("×", () => this.removeRow(down))
      remove.className = "grid-remove"
      remove.setAttribute("aria-label", `Delete row ${down + 1}`)
      line.insertCell().append(remove)
    })
    const foot = this.table.insertRow()
    for (let across = 0; across < width; across++) {
      const remove = this.tool("×", () => this.removeColumn(across))
      remove.className = "grid-remove"
      remove.setAttribute("aria-label", `Delete column ${across + 1}`)
      foot.insertCell().append(remove)
    }
  }
}

const dress = (root) => {
  for (const area of qsa("textarea[data-grid]", root)) {
    if (!area.closest(".empty-form") && !area.dataset.dressed) {
      area.dataset.dressed = "true"
      new Grid(area)
    }
  }
}

document.addEventListener("content-editor:ready", () => {
  dress(document)
  document.addEventListener("formset:added", (event) => {
    dress(event.target)
    qs(".grid textarea", event.target)?.focus()
  })
})
