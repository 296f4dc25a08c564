import { open, stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Catalogue, InputOf, OutputOf } from '../api/index.ts'
import type { CommandContext } from './context.ts'
import { requireProfile } from './daemon-process.ts'
import { renderers } from './render.ts'

type LogRecord = OutputOf<Catalogue['logs']>

const followEveryMs = 250
/** The end of the log that is looked at for the last lines. */
const tailBytes = 16 * 1_048_576

/** Prints the end of the log and, with --follow, what is added, through rotations. */
export async function logs(input: InputOf<Catalogue['logs']>, context: CommandContext): Promise<void> {
  requireProfile(context)
  const tail = new Tail(context.paths.logFile)
  const last = await tail.read()
  await print(input.lines === 0 ? [] : last.slice(-input.lines), context)
  while (input.follow && !context.signal.aborted) {
    await delay(followEveryMs, undefined, { signal: context.signal }).catch(() => undefined)
    await print(await tail.read(), context)
  }
}

async function print(lines: readonly string[], { output }: CommandContext): Promise<void> {
  for (const line of lines) {
    const record = parseRecord(line)
    if (record !== undefined) await output.result(record, (value) => renderers.logs(value, output))
  }
}

function parseRecord(line: string): LogRecord | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || !('time' in value) || !('level' in value) || !('event' in value)) return undefined
    const { time, level, event } = value
    return typeof time === 'number' && typeof level === 'string' && typeof event === 'string' ? { ...value, time, level, event } : undefined
  } catch {
    return undefined
  }
}

/** Reads what a growing file got since the last time. */
class Tail {
  readonly #path: string
  #inode = 0
  #offset = 0
  #held = ''

  constructor(path: string) {
    this.#path = path
  }

  async read(): Promise<readonly string[]> {
    const info = await stat(this.#path).catch(() => undefined)
    if (info === undefined) return []
    if (info.ino !== this.#inode || info.size < this.#offset) {
      this.#inode = info.ino
      this.#offset = Math.max(0, info.size - tailBytes)
      this.#held = ''
    }
    await using file = await open(this.#path, 'r')
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(info.size - this.#offset), position: this.#offset })
    this.#offset += bytesRead
    const lines = (this.#held + buffer.toString('utf8', 0, bytesRead)).split('\n')
    this.#held = lines.pop() ?? ''
    return lines
  }
}
