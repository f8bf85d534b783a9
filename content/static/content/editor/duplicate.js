// A second block like this one, right behind it. It is a new block: what makes the first one that row is not copied.
import { qs, qsa } from "content-editor/utils"

const OWN = /-(token|region|ordering|parent|DELETE)$/
const field = (input) => input.name.replace(/^\w+-\d+-/, "")

let original = null

export function duplicate(row) {
  const context = window.ContentEditor
  const rows = context.machine.findInlinesInOrder(row.dataset.region)
  original = row
  context._insertBefore = rows[rows.indexOf(row) + 1] ?? null
  context.addContent(row.id.replace(/-\d+$/, ""))
  original = null
}

function copyValues(from, to) {
  const targets = new Map(qsa("[name]", to).map((input) => [field(input), input]))
  for (const input of qsa("[name]", from)) {
    const target = targets.get(field(input))
    if (!target || OWN.test(input.name) || input.name.startsWith("initial-") || input.type === "file") continue
    if (input.type === "checkbox") target.checked = input.checked
    else target.value = input.value
  }
}

function copyPicture(from, to) {
  const [shown, place] = [from, to].map((row) => qs(".asset-chooser", row))
  if (!shown || !qs("input[type=hidden]", shown).value) return // a file that is not uploaded yet cannot be handed on
  for (const name of ["src", "alt"]) qs("img", place)[name] = qs("img", shown)[name]
  qs("img", place).hidden = false
  qs(".name", place).textContent = qs(".name", shown).textContent
  place.removeAttribute("data-empty")
}

// Before anything else hears of the new block: what dresses texts and tables finds them filled.
document.addEventListener(
  "formset:added",
  (event) => {
    if (!original) return
    copyValues(original, event.target)
    copyPicture(original, event.target)
  },
  true,
)
