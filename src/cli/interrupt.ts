/** Calls back at the first SIGINT, SIGTERM or SIGHUP; the second one ends the process at once with 130. */
export function onInterrupt(handler: () => void): void {
  let isFirst = true
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!isFirst) process.exit(130)
      isFirst = false
      handler()
    })
  }
}
