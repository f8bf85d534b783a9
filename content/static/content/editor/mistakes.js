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
  // Rich text, pictures and fonts take their room a moment later, and push it away; until somebody moves, it comes back.
  const watch = new ResizeObserver(show)
  watch.observe(document.getElementById("page_form"))
  for (const kind of ["keydown", "pointerdown", "wheel", "touchstart"]) {
    window.addEventListener(kind, () => watch.disconnect(), { once: true, capture: true, passive: true })
  }
})
