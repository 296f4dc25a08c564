import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { MeshError, toMeshError, version } from '../core/base/index.ts'
import { type ProfilePaths, profilePaths } from '../core/options/index.ts'
import { catalogue, checkField, type DaemonModule, type Field, parseField } from '../api/index.ts'
import { commands } from './commands.ts'
import type { CommandContext, GlobalOptions } from './context.ts'
import { completeWord } from './completion/complete-word.ts'
import { onInterrupt } from './interrupt.ts'
import { fitted } from './layout.ts'
import { isClosedPipe, Output, type Streams } from './output.ts'
import { buildProgram, type Invocation } from './program.ts'

/** What the command line gets from the process that runs it. */
export interface Surroundings extends Streams {
  readonly argv: readonly string[]
  readonly environment: NodeJS.ProcessEnv
  readonly stdin: NodeJS.ReadStream
  readonly version: string
  readonly daemonEntry: URL
  /** Calls back at Ctrl-C and at a request to end. */
  onInterrupt(handler: () => void): void
}

/** Runs one command line; resolves with the exit code. Never throws. */
export async function run(surroundings: Surroundings): Promise<number> {
  const { argv, environment } = surroundings
  // A reader that goes away is told by the write itself.
  for (const stream of [surroundings.stdout, surroundings.stderr]) stream.on('error', () => undefined)
  if (argv[0] === completeWord) return answerShell(surroundings)
  // Before anything is parsed, so that a wrong command line is told in the form that was asked for.
  let output = new Output(surroundings, { json: argv.includes('--json'), quiet: argv.includes('--quiet'), environment })
  try {
    const invocation = await parse(surroundings)
    if (invocation === undefined) return 0
    const globals = readGlobals(invocation.globals, environment)
    output = new Output(surroundings, { json: globals.json, quiet: globals.quiet, environment, profileFlags: profileFlags(invocation.globals) })
    const error = await perform(invocation, contextOf(surroundings, globals, output))
    if (error === undefined) return 0
    await output.error(error)
    return error.exitCode
  } catch (error) {
    output.endProgress()
    if (isClosedPipe(error)) return 0
    const known = toMeshError(error)
    await output.error(known).catch(() => undefined)
    return known.exitCode
  }
}

/** What a shell asks while somebody types: always answered, never with an error. */
async function answerShell({ argv, environment, stdout }: Surroundings): Promise<number> {
  const { completionLines } = await import('./completion/complete-line.ts')
  const lines = await completionLines(argv.slice(1), environment)
  await new Promise<void>((done) => void stdout.write(lines.map((line) => `${line}\n`).join(''), () => done()))
  return 0
}

async function perform({ name, input }: Invocation, context: CommandContext): Promise<MeshError | undefined> {
  const filled =
    'timeoutMs' in catalogue[name].fields && context.globals.timeoutMs !== undefined
      ? { ...input, timeoutMs: checkTimeout(catalogue[name].fields, context.globals.timeoutMs) }
      : input
  try {
    // The input was read by the fields of this very command.
    return (await commands[name](filled as never, context)) ?? undefined
  } catch (error) {
    if (context.signal.aborted) return new MeshError('ABORTED', { operation: catalogue[name].words.join(' ') })
    throw error
  }
}

function checkTimeout(fields: Readonly<Record<string, Field>>, timeoutMs: number) {
  const field = fields['timeoutMs']
  return field === undefined ? timeoutMs : checkField(field, timeoutMs, '--timeout')
}

function contextOf(surroundings: Surroundings, globals: GlobalOptions, output: Output): CommandContext {
  const interrupted = new AbortController()
  surroundings.onInterrupt(() => interrupted.abort())
  const { environment, stdin, daemonEntry } = surroundings
  const loadDaemonModule = async (): Promise<DaemonModule> => import(daemonEntry.href)
  return { output, paths: pathsOf(globals, environment), environment, stdin, globals, signal: interrupted.signal, daemonEntry, loadDaemonModule }
}

function pathsOf({ profile, dataDir, config }: GlobalOptions, environment: NodeJS.ProcessEnv): ProfilePaths {
  return profilePaths({ environment, home: homedir(), platform: process.platform, profile, dataDir, config })
}

/** The flags that say which profile is meant, as they were typed; what the environment says goes on being said. */
function profileFlags(given: Readonly<Record<string, unknown>>): string {
  const flags = [
    ['profile', '--profile'],
    ['dataDir', '--data-dir'],
    ['config', '--config']
  ] as const
  return flags
    .flatMap(([name, flag]) => {
      const value = given[name]
      return typeof value === 'string' ? [` ${flag} ${shellWord(value)}`] : []
    })
    .join('')
}

const shellWord = (text: string): string => (/^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

const timeoutField = { type: 'seconds', minMs: 1, maxMs: 3_600_000, help: '' } as const satisfies Field

function readGlobals(given: Readonly<Record<string, unknown>>, environment: NodeJS.ProcessEnv): GlobalOptions {
  const text = (name: string): string | undefined => (typeof given[name] === 'string' ? given[name] : undefined)
  const absolute = (path: string | undefined): string | undefined => (path === undefined || path.includes('\0') ? path : resolve(path))
  const timeout = text('timeout')
  const timeoutMs = timeout === undefined ? undefined : parseField(timeoutField, timeout, { path: '--timeout', isSeconds: true })
  return {
    json: given['json'] === true,
    quiet: given['quiet'] === true,
    profile: text('profile') ?? environment['SYNAPTIC_MESH_PROFILE'] ?? 'default',
    dataDir: absolute(text('dataDir') ?? environment['SYNAPTIC_MESH_DATA_DIR']),
    config: absolute(text('config') ?? environment['SYNAPTIC_MESH_CONFIG']),
    timeoutMs: typeof timeoutMs === 'number' ? timeoutMs : undefined,
    start: given['start'] !== false,
    ephemeral: given['ephemeral'] === true
  }
}

/** The command that was typed; undefined when help or the version was printed. @throws {MeshError} USAGE and what a field says */
async function parse({ argv, version: shownVersion, stdout }: Surroundings): Promise<Invocation | undefined> {
  const program = buildProgram(shownVersion)
  const columns = stdout.isTTY && stdout.columns > 0 ? stdout.columns : undefined
  const problems: string[] = []
  const printed: string[] = []
  const configure = (command: typeof program.root): void => {
    command.exitOverride().configureOutput({
      writeOut: (text) => void printed.push(text),
      writeErr: (text) => void problems.push(text),
      getOutHelpWidth: () => columns ?? 80
    })
    command.commands.forEach(configure)
  }
  configure(program.root)
  try {
    await program.root.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    if (error instanceof MeshError) throw error
    if (!isCommanderExit(error)) throw error
    if (error.exitCode !== 0 && printed.length === 0) throw new MeshError('USAGE', { problem: usageProblem(problems, argv) })
  }
  if (printed.length > 0) await new Promise<void>((done) => void stdout.write(fitted([printed.join('')], columns).join('\n'), () => done()))
  return program.invocation
}

const isCommanderExit = (error: unknown): error is { readonly exitCode: number; readonly code: string } =>
  error instanceof Error && 'exitCode' in error && 'code' in error && String(error.code).startsWith('commander.')

/** Commander's complaint as one sentence; the whole help when a command is missing. */
function usageProblem(problems: readonly string[], argv: readonly string[]): string {
  const text = problems.join('').trim()
  if (text.startsWith('Usage:')) return 'A command is missing, such as synaptic-mesh p2p status'
  const [word = ''] = argv
  if (text.startsWith('error: unknown command') && Object.values(catalogue).some(({ words }) => words[0] === word))
    return `unknown command '${word}' (Did you mean p2p ${word}?)`
  return text.replace(/^error: /, '').replaceAll('\n', ' ')
}

/** The command line as the bin runs it. */
export async function main(): Promise<void> {
  const code = await run({
    argv: process.argv.slice(2),
    environment: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    version,
    daemonEntry: new URL('./daemon.js', import.meta.url),
    onInterrupt
  })
  // Whatever is still open, the work is done: the answer was handed over before.
  process.exit(code)
}
