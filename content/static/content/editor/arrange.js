// Blocks move by buttons and by Alt+Up and Alt+Down, are duplicated, and are deleted by one click that can be taken back.
import { qs, qsa } from "content-editor/utils"
import { duplicate } from "./duplicate.js"

const announce = document.createElement("p")
announce.className = "visually-hidden"
announce.setAttribute("role", "status")

function move(row, step) {
  const { machine } = window.ContentEditor
  const rows = machine.findInlinesInOrder(row.dataset.region)
  const place = rows.indexOf(row)
  const other = rows[place + step]
  if (!other) return
  const focused = document.activeElement
  machine.insertAdjacent(row, other, step > 0)
  if (row.contains(focused)) focused.focus()
  row.scrollIntoView({ block: "nearest" })
  announce.textContent = `Moved to place ${place + step + 1} of ${rows.length}`
  row.dispatchEvent(new Event("change", { bubbles: true }))
}

function button(icon, label, action) {
  const element = document.createElement("button")
  element.type = "button"
  element.className = "block-tool"
  element.title = label
  element.setAttribute("aria-label", label)
  element.innerHTML = `<span class="material-icons" aria-hidden="true">${icon}</span>`
  element.addEventListener("click", (event) => {
    event.stopPropagation()
    action()
  })
  return element
}

function remove(row) {
  const box = qs(":scope > h3 .delete input[type=checkbox]", row)
  if (box) box.click()
  else qs(".inline-deletelink", row)?.click()
  document.dispatchEvent(new Event("change", { bubbles: true }))
}

function equip(row) {
  const head = qs(":scope > h3", row)
  if (!head || qs(".block-tools", head)) return
  const tools = document.createElement("span")
  tools.className = "block-tools"
  tools.append(
    button("arrow_upward", "Move up (Alt+Up)", () => move(row, -1)),
    button("arrow_downward", "Move down (Alt+Down)", () => move(row, 1)),
    button("content_copy", "Duplicate", () => {
      duplicate(row)
      announce.textContent = "Duplicated: the new block follows"
    }),
    button("delete", "Delete or keep this block", () => remove(row)),
  )
  head.append(tools)
}

document.addEventListener("content-editor:ready", () => {
  if (!window.ContentEditor.allowChange) return
  document.body.append(announce)
  for (const row of qsa(".order-machine .inline-related:not(.empty-form)")) equip(row)
  document.addEventListener("formset:added", (event) => equip(event.target))
  document.addEventListener(
    "keydown",
    (event) => {
      if (!event.altKey || event.ctrlKey || event.metaKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return
      const row = event.target.closest?.(".order-machine .inline-related")
      if (!row) return
      event.preventDefault()
      event.stopPropagation()
      move(row, event.key === "ArrowUp" ? -1 : 1)
    },
    true,
  )
})
