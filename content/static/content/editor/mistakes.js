// A form that came back with mistakes opens at the first of them, wherever on the page that is.
import { qsa } from "content-editor/utils"

const FIELDS = "input:not([type=hidden]), textarea, select, button[data-choose]"

document.addEventListener("content-editor:ready", () => {
  const lists = qsa("#page_form ul.errorlist").filter((list) => !list.closest(".empty-form"))
  for (const list of lists) list.closest("details")?.setAttribute("open", "")
  const tops = lists.map((list) => list.getBoundingClientRect().top)
  const first = lists[tops.indexOf(Math.min(...tops))]
  if (!first) return
  const place = first.closest(".form-row, .inline-related") ?? first.parentElement
  qsa(FIELDS, place)
    .find((field) => field.offsetParent)
    ?.focus({ preventScroll: true })
  const show = () => {
    if (place.contains(document.activeElement)) place.scrollIntoView({ block: "center" })
  }
  show()
  // Rich text and pictures take their room a moment later, and push it away.
  document.addEventListener("prose-editor:ready", show)
  window.addEventListener("load", show)
})
