// A text with commas, shown as chips. The input keeps the text, so the form works without this.
import { qsa } from "content-editor/utils"

function dress(input) {
  const box = document.createElement("span")
  box.className = "chips"
  const entry = document.createElement("input")
  entry.type = "text"
  entry.id = `${input.id}_entry`
  entry.placeholder = "Add, then Enter or comma"
  entry.autocomplete = "off"
  input.before(box)
  box.append(entry)
  input.hidden = true
  for (const label of qsa(`label[for="${input.id}"]`)) label.htmlFor = entry.id

  const texts = () => input.value.split(",").map((text) => text.trim()).filter(Boolean)
  const store = (list) => {
    input.value = [...new Set(list)].join(", ")
    draw()
    input.dispatchEvent(new Event("change", { bubbles: true }))
  }
  const draw = () => {
    for (const chip of qsa(".chip", box)) chip.remove()
    texts().forEach((text, place) => {
      const chip = document.createElement("button")
      chip.type = "button"
      chip.className = "chip"
      chip.textContent = text
      chip.setAttribute("aria-label", `Remove ${text}`)
      chip.addEventListener("click", () => {
        store(texts().filter((_, other) => other !== place))
        entry.focus()
      })
      entry.before(chip)
    })
  }
  const take = () => {
    if (!entry.value.trim()) return
    const added = entry.value
    entry.value = ""
    store([...texts(), ...added.split(",").map((text) => text.trim()).filter(Boolean)])
  }
  entry.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault()
      take()
    } else if (event.key === "Backspace" && !entry.value) {
      store(texts().slice(0, -1))
    }
  })
  entry.addEventListener("blur", take)
  // Saved by the keyboard while a word stands in the entry: the word counts.
  input.form?.addEventListener("submit", take, true)
  draw()
}

for (const input of qsa("input[data-chips]")) dress(input)
