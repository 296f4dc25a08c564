import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { MeshError, safeJson } from '../../core/base/index.ts'
import { type Handle, type Handled, type HeardMessage, KeptOutput, keptBytes } from './handler.ts'
import type { ProcessGroups } from './process-groups.ts'

/** Between asking a program to end and ending it. */
const killAfterMs = 5_000
/** How long the output of a program that ended may take to arrive; what it left running may hold it open for ever. */
const drainMs = 1_000
/** From the environment of the listener; whatever else a program needs is named by --env. */
const passedOn = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR', 'SYSTEMROOT']
/** Where the profile of this listener is found again. */
const profileOf = ['XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME']
const idPattern = /^[A-Za-z0-9._-]{1,128}$/

export interface ExecOptions {
  readonly words: readonly string[]
  readonly environment: NodeJS.ProcessEnv
  /** Names of further variables. */
  readonly env: readonly string[]
  /** Says to commands of this program which profile is meant. */
  readonly profile: NodeJS.ProcessEnv
  readonly timeoutMs: number
  /** Kept of what it prints: more where that is an answer. */
  readonly answerBytes: number
  readonly groups: ProcessGroups
}

/** @throws {MeshError} HANDLER_NOT_FOUND when the first word is no program that can be run */
export function checkProgram([program = '']: readonly string[], environment: NodeJS.ProcessEnv): void {
  const hasFolder = program.includes('/') || process.platform === 'win32'
  const candidates = hasFolder ? [program] : (environment['PATH'] ?? '').split(delimiter).map((folder) => join(folder === '' ? '.' : folder, program))
  if (candidates.some(isExecutable) || process.platform === 'win32') return
  const reason = hasFolder ? 'it is no executable file' : 'it is in no folder of PATH'
  throw new MeshError('HANDLER_NOT_FOUND', { program: program.slice(0, 200), reason })
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/** A program run for each message: no shell, the message on its standard input and nowhere else, in a process group of its own that ends with it. */
export const execHandler =
  (options: ExecOptions): Handle =>
  (message, interrupted) =>
    new Run(options, message).finish(interrupted)

class Run {
  readonly #options: ExecOptions
  readonly #message: HeardMessage
  readonly #stdout: KeptOutput
  readonly #stderr = new KeptOutput(keptBytes)
  #ending: 'timeout' | 'interrupted' | undefined
  #kill: NodeJS.Timeout | undefined

  constructor(options: ExecOptions, message: HeardMessage) {
    this.#options = options
    this.#message = message
    this.#stdout = new KeptOutput(options.answerBytes)
  }

  async finish(interrupted: AbortSignal): Promise<Handled> {
    const [program = '', ...words] = this.#options.words
    let child: ChildProcessByStdio<Writable, Readable, Readable>
    try {
      child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, windowsHide: true, env: this.#environment() })
    } catch (error) {
      return this.#handled({ outcome: 'failed', reason: reasonOf(error) })
    }
    const ended = this.#watch(child)
    const { pid } = child
    if (pid === undefined) return this.#handled({ outcome: 'failed', reason: reasonOf(await ended) })
    const { groups, timeoutMs } = this.#options
    groups.add(pid)
    const timer = setTimeout(() => this.#end(pid, 'timeout'), timeoutMs)
    const onInterrupt = (): void => this.#end(pid, 'interrupted')
    interrupted.addEventListener('abort', onInterrupt, { once: true })
    if (interrupted.aborted) onInterrupt()
    try {
      const end = await ended
      groups.end(pid)
      await drained(child)
      return this.#handled(end instanceof Error ? { outcome: 'failed', reason: reasonOf(end) } : this.#judge(end))
    } finally {
      clearTimeout(timer)
      clearTimeout(this.#kill)
      interrupted.removeEventListener('abort', onInterrupt)
    }
  }

  #watch(child: ChildProcessByStdio<Writable, Readable, Readable>): Promise<Exit | Error> {
    const { promise, resolve } = Promise.withResolvers<Exit | Error>()
    child.once('error', resolve)
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.stdout.on('data', (chunk: Buffer) => this.#stdout.add(chunk))
    child.stderr.on('data', (chunk: Buffer) => this.#stderr.add(chunk))
    // A program need not read what it gets.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => undefined)
    child.stdin.end(`${safeJson(this.#message)}\n`)
    return promise
  }

  #end(pid: number, why: 'timeout' | 'interrupted'): void {
    this.#ending ??= why
    const { groups } = this.#options
    groups.signal(pid, 'SIGTERM')
    this.#kill ??= setTimeout(() => groups.signal(pid, 'SIGKILL'), killAfterMs)
  }

  #judge({ code, signal }: Exit): Pick<Handled, 'outcome' | 'reason' | 'isFinal' | 'exitCode' | 'signal'> {
    const how = { ...(code === null ? {} : { exitCode: code }), ...(signal === null ? {} : { signal }) }
    if (this.#ending === 'interrupted') return { outcome: 'interrupted', reason: 'the listener was ended', ...how }
    if (this.#ending === 'timeout') return { outcome: 'failed', reason: `it took longer than ${this.#options.timeoutMs / 1000} s`, ...how }
    if (code === 0) return { outcome: 'done', ...how }
    return { outcome: 'failed', reason: code === null ? `it was ended by ${signal ?? 'a signal'}` : `exit code ${code}`, ...how }
  }

  #handled(how: Pick<Handled, 'outcome' | 'reason' | 'isFinal' | 'exitCode' | 'signal'>): Handled {
    const answer = this.#stdout.bytes
    const dropped = { stdout: this.#stdout.dropped + Math.max(0, answer.length - keptBytes), stderr: this.#stderr.dropped }
    return { ...how, answer, stdout: answer.subarray(0, keptBytes).toString('utf8'), stderr: this.#stderr.bytes.toString('utf8'), dropped }
  }

  /** Nothing of the message but ids that can do no harm anywhere. */
  #environment(): NodeJS.ProcessEnv {
    const { environment, env, profile } = this.#options
    const { id, type, source } = this.#message
    const ids = { SYNAPTIC_MESH_MESSAGE: id, SYNAPTIC_MESH_MESSAGE_TYPE: type, SYNAPTIC_MESH_MESSAGE_FROM: source }
    const names = [...passedOn, ...profileOf, ...env]
    return {
      ...Object.fromEntries(names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]]))),
      ...profile,
      ...Object.fromEntries(Object.entries(ids).filter(([, value]) => idPattern.test(value)))
    }
  }
}

interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** What a program wrote before it ended is read; what went away from its process group and still holds the output is not waited for. */
async function drained(child: ChildProcessByStdio<Writable, Readable, Readable>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const open = new Set<Readable>([child.stdout, child.stderr])
  for (const stream of open) {
    const close = (): void => void (open.delete(stream) && open.size === 0 && resolve())
    if (stream.closed || stream.readableEnded) close()
    else stream.once('close', close)
  }
  const timer = setTimeout(resolve, drainMs)
  await promise
  clearTimeout(timer)
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 200)
