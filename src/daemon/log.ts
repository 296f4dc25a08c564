import { closeSync, fstatSync, renameSync, writeSync } from 'node:fs'
import pino from 'pino'
import { safeText, toMeshError } from '../core/base/index.ts'
import type { LogRecord } from '../mesh/mesh.ts'
import { openToAppend, somethingAt } from '../node/files.ts'

export type LogLevel = LogRecord['level']

/**
 * The names that may be in a record. What is not here is left out and its name told: a list of what is allowed cannot forget a secret.
 */
const allowedFields: ReadonlySet<string> = new Set(
  (
    'actual address addresses allowed attempts best bytes candidates claimed code connections count daemon direction file feature found foundBy host http id ids known level limit listen max method mode ms ' +
    'name nearest network operation offset own path paired peer peerId peers pid port position problem profile protocol queued reason retryable route scope sequence signal socket stack state ' +
    'status step streams suggestion suppressed timeoutMs transport ttlS type unread uptimeS version wanted what where'
  ).split(' ')
)

export const isAllowedField = (name: string): boolean => allowedFields.has(name)

const maxCharacters = 512
const maxItems = 16

type LogValue = string | number | boolean | readonly string[] | undefined

/** The fields of a record as they may be written. */
export function allowedRecord(fields: Readonly<Record<string, LogValue>>): Record<string, LogValue> {
  const kept: Record<string, LogValue> = {}
  const omitted: string[] = []
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    if (isAllowedField(name)) kept[name] = safeValue(value)
    else omitted.push(safeText(name, { maxCharacters: 40 }))
  }
  return omitted.length === 0 ? kept : { ...kept, omitted: omitted.slice(0, maxItems) }
}

function safeValue(value: Exclude<LogValue, undefined>): Exclude<LogValue, undefined> {
  if (typeof value === 'string') return safeText(value, { maxCharacters })
  if (typeof value === 'object') return value.slice(0, maxItems).map((item) => safeText(item, { maxCharacters }))
  return value
}

/** A file of mode 0600 that is moved aside when it is full: `daemon.log`, `daemon.log.1`, `.2`. Written at once, so that a crash loses nothing. */
export class RotatingFile {
  readonly #path: string
  readonly #maxBytes: number
  readonly #kept: number
  #descriptor: number
  #bytes: number

  constructor(path: string, limits: { readonly maxBytes: number; readonly kept: number } = { maxBytes: 5 * 1_048_576, kept: 2 }) {
    this.#path = path
    this.#maxBytes = limits.maxBytes
    this.#kept = limits.kept
    // What was moved aside by an older version, or stands in its place, is closed to others, too, or refused.
    for (const old of this.#old) if (somethingAt(old)) closeSync(openToAppend(old))
    this.#descriptor = this.#open()
    this.#bytes = fstatSync(this.#descriptor).size
  }

  get #old(): readonly string[] {
    return Array.from({ length: this.#kept }, (_, index) => `${this.#path}.${index + 1}`)
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) this.#rotate()
    try {
      writeSync(this.#descriptor, line)
      this.#bytes += bytes
    } catch {
      // A full disk must not stop the node; what it could not log it still answers.
    }
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #open(): number {
    return openToAppend(this.#path)
  }

  #rotate(): void {
    closeSync(this.#descriptor)
    for (let age = this.#kept; age >= 1; age--) {
      try {
        renameSync(age === 1 ? this.#path : `${this.#path}.${age - 1}`, `${this.#path}.${age}`)
      } catch {
        // There are fewer old ones yet.
      }
    }
    this.#descriptor = this.#open()
    this.#bytes = fstatSync(this.#descriptor).size
  }
}

/** Takes a line of the log, its end included. */
export type LineSink = (line: string) => void

/** The daemon's log: one line of JSON a record, with `time`, `level`, `event` and allowed fields. */
export class DaemonLog {
  readonly #pino: pino.Logger
  readonly #file: { write(line: string): void; close?(): void }

  /** @param copy - also gets every line, such as a service manager by stderr. */
  constructor(file: { write(line: string): void; close?(): void }, level: LogLevel, copy: LineSink = () => undefined) {
    this.#file = file
    this.#pino = pino(
      { level, base: null, messageKey: 'event', formatters: { level: (label) => ({ level: label }) } },
      {
        write: (line: string) => {
          file.write(line)
          copy(line)
        }
      }
    )
  }

  record(record: LogRecord): void {
    this.#pino[record.level](allowedRecord(record.fields), safeText(record.event, { maxCharacters: 80 }))
  }

  /** One record for an error: its code, its details as far as they are allowed, and where it happened. */
  error(error: unknown, where: Readonly<Record<string, LogValue>> = {}): void {
    const known = toMeshError(error)
    const isOurs = known.code === 'INTERNAL'
    const level = [2, 4, 5, 130].includes(known.exitCode) ? 'warn' : 'error'
    // Of an error that nobody foresaw only the places are told: its message may quote what must not be logged.
    const stack = isOurs ? frames(known.cause ?? known) : undefined
    const details = isOurs ? {} : known.details
    this.record({ level, event: known.code, fields: { ...details, ...where, code: known.code, retryable: known.retryable, stack } })
  }

  close(): void {
    this.#file.close?.()
  }
}

function frames(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return []
  const lines = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return lines.slice(0, 8).map((line) => line.trim())
}
