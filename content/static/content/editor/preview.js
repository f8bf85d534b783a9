// The page as readers would see it, beside the form and following it. The frame has an address of its own, so that it has
// its own content security policy; files are left out of what is sent.
import { qs } from "content-editor/utils"
import { encoding, SHORT } from "./encoding.js"

const WAIT = 40 // milliseconds from a change to the request: one key often changes several things
const PATIENCE = 10000 // milliseconds after which an answer is given up
const form = qs("#page_form")
const panel = qs(".editor-preview")
const frame = qs("iframe", panel)
const button = qs("[data-preview]")
let asked = false // whether something was changed since the last request went out
let asking = false

async function refresh() {
  asked = false
  const data = new FormData(form)
  for (const [name, value] of [...data]) if (value instanceof File) data.delete(name)
  const body = encoding(form) === SHORT ? new URLSearchParams(data) : data
  const response = await fetch(button.dataset.preview, { method: "POST", body, headers: { Accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE) })
  if (!response.ok) return
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html")
  const shown = frame.contentDocument
  if (shown?.body) shown.body.replaceWith(shown.adoptNode(fresh.body))
}

// One request at a time, and after it one more where the form has changed meanwhile: who types sees it as soon as the server can.
async function follow() {
  asked = true
  if (asking) return
  asking = true
  while (asked && !panel.hidden) {
    await new Promise((resolve) => setTimeout(resolve, WAIT))
    await refresh().catch(() => {}) // the next change asks again
  }
  asking = false
}

function toggle() {
  panel.hidden = !panel.hidden
  document.body.classList.toggle("with-preview", !panel.hidden)
  button.setAttribute("aria-pressed", String(!panel.hidden))
  if (panel.hidden) return
  frame.addEventListener("load", follow, { once: true })
  frame.src = button.dataset.preview
}

button.setAttribute("aria-pressed", "false")
form.addEventListener("submit", (event) => {
  if (event.submitter !== button) return
  event.preventDefault()
  toggle()
})
for (const kind of ["input", "change"]) document.addEventListener(kind, follow)
document.addEventListener("formset:removed", follow)
// Rich text writes into its textarea without an event that reaches the form.
document.addEventListener("prose-editor:ready", (event) => event.detail.editor.on("update", () => {
  event.target.dispatchEvent(new Event("input", { bubbles: true }))
}))
