// The entry point of the content editor. It does what content_editor/index.js does, without the style element that a
// strict content security policy refuses, and without what one region does not need.
import { initContext } from "content-editor/context"
import { DragDrop } from "content-editor/dragdrop"
import { Machine } from "content-editor/machine"
import { Regions } from "content-editor/regions"
import { Sections } from "content-editor/sections"
import { emit, qs, qsa } from "content-editor/utils"

function init() {
  const context = initContext()
  const machine = new Machine(context)
  const sections = new Sections(context, machine)
  const dragdrop = new DragDrop(context, machine, sections)
  const regions = new Regions(context, machine)
  machine.wire({ sections, regions, dragdrop })
  context.machine = machine
  context.addPluginButton = (prefix, icon, initializing) => regions.addPluginButton(prefix, icon, initializing)

  machine.addPluginIcons()
  const groups = context.plugins.map((plugin) => document.getElementById(`${plugin.prefix}-group`)).filter(Boolean)
  machine.reorderInlines(groups)
  for (const group of groups) group.hidden = true
  // Blocks of a form that came back with mistakes are as nameless as new ones.
  for (const label of qsa(".order-machine .inline-related:not(.has_original, .empty-form) > h3 .inline_label")) {
    label.textContent = context.messages.newItem
  }
  regions.assignToInlines()
  for (const plugin of context.plugins) context.addPluginButton(plugin.prefix, plugin.button, true)
  regions.initTabs()
  regions.selectInitial(undefined)
  machine.initializeCollapseAll()
  if (!context.allowChange) qs(".order-machine-wrapper").classList.add("order-machine-readonly")
  emit("content-editor:ready")
}

// After Django's own set-up of the formsets, which waits in the same queue.
django.jQuery(init)
