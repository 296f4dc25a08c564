import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { run as runCommandLine } from '../../src/cli/main.ts'
import { type ProfilePaths, profilePaths } from '../../src/core/options/index.ts'

/** Bundled as the package is, so that a process starts as fast as the real one. */
const bundles = mkdtempSync(join(tmpdir(), 'sm-bundles-'))
process.once('exit', () => rmSync(bundles, { recursive: true, force: true }))
buildSync({
  entryPoints: ['fake-bin', 'fake-daemon'].map((name) => fileURLToPath(new URL(`./${name}.ts`, import.meta.url))),
  outdir: bundles,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  banner: { js: "import{createRequire as nodeCreateRequire}from'node:module';const require=nodeCreateRequire(import.meta.url);" }
})
writeFileSync(join(bundles, 'package.json'), '{"type":"module"}')
export const fakeBin = join(bundles, 'fake-bin.js')
export const repository = fileURLToPath(new URL('../..', import.meta.url))

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A home of its own for each test; the daemon in it ends with the test. */
export class Home {
  readonly folder = mkdtempSync(join(tmpdir(), 'sm-'))
  readonly paths: ProfilePaths
  readonly environment: NodeJS.ProcessEnv

  readonly #bin: string

  /** `bin`: the program; the real command line around a node in memory unless told. */
  constructor(t: TestContext, bin = fakeBin) {
    this.#bin = bin
    const data = join(this.folder, 'd')
    mkdirSync(data, { mode: 0o700 })
    this.paths = profilePaths({ environment: {}, home: this.folder, platform: process.platform, profile: 'default', dataDir: data })
    this.environment = { PATH: process.env['PATH'], HOME: this.folder, SYNAPTIC_MESH_DATA_DIR: data, TZ: 'UTC' }
    t.after(async () => {
      await this.stop()
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 })
    })
  }

  /** The command line as a process of its own. */
  run(args: readonly string[], options: { readonly input?: string | Uint8Array; readonly environment?: NodeJS.ProcessEnv } = {}): Promise<Result> {
    const child = this.spawn(args, options.environment)
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    return finished(child)
  }

  p2p(...args: readonly string[]): Promise<Result> {
    return this.run(['p2p', ...args])
  }

  spawn(args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcessByStdio<Writable, Readable, Readable> {
    return spawn(process.execPath, [this.#bin, ...args], { env: { ...this.environment, ...environment }, stdio: ['pipe', 'pipe', 'pipe'] })
  }

  /** The messages that the next daemon of this home finds in its inbox. */
  messages(list: readonly object[]): void {
    mkdirSync(this.paths.stateFolder, { recursive: true, mode: 0o700 })
    writeFileSync(join(this.paths.stateFolder, 'messages.json'), JSON.stringify(list), { mode: 0o600 })
  }

  pid(): number | undefined {
    try {
      return Number(readFileSync(join(this.paths.runtimeFolder, 'daemon.pid'), 'utf8'))
    } catch {
      return undefined
    }
  }

  async stop(): Promise<void> {
    const pid = this.pid()
    if (pid === undefined) return
    endProcess(pid, 'SIGTERM')
    const deadline = Date.now() + 10_000
    while (isAlive(pid) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
    endProcess(pid, 'SIGKILL')
  }
}

function endProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended.
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

export async function finished(child: ChildProcessByStdio<Writable | null, Readable, Readable>): Promise<Result> {
  const [stdout, stderr, code] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve))
  ])
  return { code, stdout, stderr }
}

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

/** The command line in this process, for what never gets as far as a daemon. */
export async function runHere(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Result> {
  const [stdout, stderr] = [new Collector(), new Collector()]
  const code = await runCommandLine({
    argv: args,
    environment,
    stdin: Readable.from([]) as NodeJS.ReadStream,
    stdout: stdout as Writable as NodeJS.WriteStream,
    stderr: stderr as Writable as NodeJS.WriteStream,
    version: '0.0.0-test',
    daemonEntry: new URL('./fake-daemon.ts', import.meta.url),
    onInterrupt: () => undefined
  })
  return { code, stdout: stdout.text, stderr: stderr.text }
}

class Collector extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8')
    done()
  }
}
