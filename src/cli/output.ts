import { type ErrorReport, type MeshError, safeJson, safeText, toMeshError } from '../core/base/index.ts'
import { fitted } from './layout.ts'
import { guarded } from './guarded.ts'

/** Where a command's words go. Only this file prints. */
export interface Streams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

export interface OutputOptions {
  readonly json: boolean
  readonly quiet: boolean
  /** What a command that is proposed needs to mean the same profile, such as ` --profile alice`. */
  readonly profileFlags?: string
  readonly environment: NodeJS.ProcessEnv
}

/** A terminal that says that it is narrower is written to as if it were this wide. */
const leastColumns = 20
const spinnerFrames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const spinnerAfterMs = 500
const spinnerEveryMs = 100

type Colour = 'green' | 'red' | 'yellow' | 'dim' | 'bold'
const codes: Readonly<Record<Colour, string>> = { green: '32', red: '31', yellow: '33', dim: '2', bold: '1' }

/** Data goes to stdout, talk to stderr. Every text from outside passes `safe` before it gets here, or `safeJson`. */
export class Output {
  readonly isJson: boolean
  readonly #streams: Streams
  readonly #isQuiet: boolean
  readonly #environment: NodeJS.ProcessEnv
  readonly #profileFlags: string
  #spinner: NodeJS.Timeout | undefined
  /** Whether something of the spinner stands on the terminal. */
  #isSpinning = false

  constructor(streams: Streams, options: OutputOptions) {
    this.#streams = streams
    this.isJson = options.json
    this.#isQuiet = options.quiet
    this.#environment = options.environment
    this.#profileFlags = options.profileFlags ?? ''
  }

  /** A value under `--json`, else the lines that `render` makes of it. Resolves when it was handed to the reader. */
  async result<T>(value: T, render: (value: T) => readonly string[]): Promise<void> {
    this.endProgress()
    await this.#write(this.#streams.stdout, this.isJson ? [safeJson(value)] : fitted(render(value), this.columns()).map(guarded))
  }

  /** Something to know that is not the result; not said under `--quiet` or `--json`. */
  note(text: string): void {
    this.endProgress()
    if (!this.#isQuiet && !this.isJson) void this.#write(this.#streams.stderr, fitted([text], this.columns('stderr')).map(guarded))
  }

  /** An error, on stderr: what happened, why, and what to do next. */
  async error(error: MeshError): Promise<void> {
    this.endProgress()
    await this.#write(
      this.#streams.stderr,
      this.isJson ? [safeJson({ error: this.#report(error) })] : fitted(this.#errorLines(error), this.columns('stderr')).map(guarded)
    )
  }

  /** How wide the terminal is; undefined when the stream is none. */
  columns(stream: keyof Streams = 'stdout'): number | undefined {
    const { isTTY, columns } = this.#streams[stream]
    return isTTY && columns > 0 ? Math.max(leastColumns, columns) : undefined
  }

  /** A command of this program as it is to be typed for the profile in use. */
  proposal(command: string): string {
    return `synaptic-mesh p2p ${command}${this.#profileFlags}`
  }

  /** A text with its commands as they are to be typed for the profile in use. */
  proposed(text: string): string {
    return text.replaceAll('synaptic-mesh p2p ', `synaptic-mesh p2p${this.#profileFlags} `)
  }

  #report(error: MeshError): ErrorReport {
    const report = error.report()
    return { ...report, next: report.next.map((command) => (command.startsWith('synaptic-mesh p2p ') ? command + this.#profileFlags : command)) }
  }

  #errorLines(error: MeshError): readonly string[] {
    const { code, message, hint, next } = this.#report(error)
    const lines = [`${this.paint('red', '✗', 'stderr')} ${safe(message)} (${code})`, `  ${safe(hint)}`]
    return next.length === 0 ? lines : [...lines, `  Next: ${next.map(safe).join('    ')}`]
  }

  /** Shows on a terminal that something goes on, once it took half a second. */
  progress(text: string): void {
    const { stderr } = this.#streams
    if (this.#isQuiet || this.isJson || !stderr.isTTY || this.#environment['TERM'] === 'dumb') return
    this.endProgress()
    const started = Date.now()
    let frame = 0
    this.#spinner = setInterval(() => {
      if (Date.now() - started < spinnerAfterMs) return
      const line = `${spinnerFrames[frame++ % spinnerFrames.length] ?? ''} ${safe(text)} (${Math.round((Date.now() - started) / 1000)} s)`
      // A line that were broken by the terminal could not be taken back.
      const [shown = line] = fitted([line], (this.columns('stderr') ?? Infinity) - 1)
      this.#isSpinning = true
      stderr.write(`\r\u001b[2K${shown}`)
    }, spinnerEveryMs)
    this.#spinner.unref()
  }

  endProgress(): void {
    if (this.#spinner === undefined) return
    clearInterval(this.#spinner)
    this.#spinner = undefined
    if (this.#isSpinning) this.#streams.stderr.write('\r\u001b[2K')
    this.#isSpinning = false
  }

  /** `text` in a colour where the stream shows any. */
  paint(colour: Colour, text: string, stream: keyof Streams = 'stdout'): string {
    const isPlain = !this.#streams[stream].isTTY || (this.#environment['NO_COLOR'] ?? '') !== '' || this.#environment['TERM'] === 'dumb'
    return isPlain ? text : `\u001b[${codes[colour]}m${text}\u001b[0m`
  }

  /** The whole terminal, for pictures in place; what stood there comes back at the end. */
  openScreen(): Screen {
    this.endProgress()
    return new Screen(this.#streams.stdout)
  }

  async #write(stream: NodeJS.WriteStream, lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    stream.write(`${lines.join('\n')}\n`, (error) => (error ? reject(error) : resolve()))
    await promise
  }
}

/** The other screen of a terminal. Each picture is written at once over the one before, so that nothing flickers. */
export class Screen implements Disposable {
  readonly #stdout: NodeJS.WriteStream

  constructor(stdout: NodeJS.WriteStream) {
    this.#stdout = stdout
    stdout.write('\u001b[?1049h\u001b[?25l')
  }

  /** Lines beyond the height of the terminal are left out. */
  draw(lines: readonly string[]): void {
    const { rows, columns } = this.#stdout
    const shown = fitted(lines, Math.max(leastColumns, columns)).slice(0, Math.max(1, rows))
    this.#stdout.write(`\u001b[H${shown.map((line) => `${guarded(line)}\u001b[K`).join('\r\n')}\u001b[J`)
  }

  [Symbol.dispose](): void {
    this.#stdout.write('\u001b[?25h\u001b[?1049l')
  }
}

/** A short text from outside, on one line. */
export const safe = (text: string): string => safeText(text, { maxCharacters: 1_024 })
/** A body from outside, on several lines. */
export const safeBody = (text: string): string => safeText(text, { maxCharacters: 65_536, multiline: true })

/** The error of a reader that went away, which is no error: `p2p peers | head -1`. */
export const isClosedPipe = (error: unknown): boolean => {
  const cause = toMeshError(error).cause ?? error
  return cause instanceof Error && 'code' in cause && cause.code === 'EPIPE'
}
