import { closeSync, writeSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { safeJson, safeText, toMeshError } from '../core/base/index.ts'
import { type StartNotice, toWireError } from '../api/index.ts'
import { profilePaths } from '../node/paths.ts'
import { Daemon } from './daemon.ts'
import type { DaemonParts } from './parts.ts'
import { watchMemory } from './quiet-memory.ts'

const noticeDescriptor = 3

/** The daemon as a process of its own: starts, says so on file descriptor 3 where there is one, and ends on SIGTERM, SIGINT, `stop` or a fatal error. */
export async function runProcess(parts: DaemonParts, args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      profile: { type: 'string' },
      'data-dir': { type: 'string' },
      config: { type: 'string' },
      notify: { type: 'boolean' },
      foreground: { type: 'boolean' }
    }
  })
  const notify = values.notify === true ? tell : () => undefined
  try {
    const daemon = await Daemon.start(
      values.foreground === true ? { ...parts, logCopy: (line) => void process.stderr.write(line) } : parts,
      profilePaths({ profile: values.profile ?? 'default', dataDir: values['data-dir'], config: values.config }),
      process.env
    )
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void daemon.stop())
    // Whoever holds the other end of stdin has gone, however it ended.
    if (values.foreground === true) process.stdin.resume().once('close', () => void daemon.stop())
    const unwatch = watchMemory()
    notify({ ready: true, pid: process.pid })
    const failure = await daemon.ended
    unwatch()
    process.exit(failure === undefined ? 0 : failure.exitCode)
  } catch (error) {
    const known = toMeshError(error)
    notify({ ready: false, ...toWireError(known) })
    // In the foreground whoever was notified says it himself, on this same stderr.
    if (values.foreground !== true || values.notify !== true) process.stderr.write(`${known.code}: ${safeText(known.message)}\n`)
    process.exit(known.exitCode)
  }
}

function tell(notice: StartNotice): void {
  try {
    writeSync(noticeDescriptor, `${safeJson(notice)}\n`)
    closeSync(noticeDescriptor)
  } catch {
    // Whoever started it has gone: the daemon stays.
  }
}
