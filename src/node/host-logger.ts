import type { ComponentLogger, Logger } from '@libp2p/interface'
import type { LogRecord } from '../mesh/mesh.ts'

const maxText = 300

/** libp2p's loggers: errors become records of level debug, all else is dropped before anything is formatted (formatting cost a fifth of the throughput). */
export function hostLogger(log: (record: LogRecord) => void): ComponentLogger {
  return { forComponent: (name) => makeLogger(name, log) }
}

function makeLogger(name: string, log: (record: LogRecord) => void): Logger {
  const quiet = (): void => {}
  const error = (format: unknown, ...values: readonly unknown[]): void => {
    const text = [String(format), ...values.map(short)].join(' ').slice(0, maxText)
    log({ level: 'debug', event: 'libp2p.error', fields: { component: name, text } })
  }
  const logger = Object.assign((): void => {}, {
    enabled: false,
    trace: Object.assign(quiet, { enabled: false }),
    error: Object.assign(error, { enabled: false }),
    newScope: (scope: string) => makeLogger(`${name}:${scope}`, log)
  })
  return logger
}

function short(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}
