import assert from 'node:assert/strict'
import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { inRoot } from '../../scripts/lib/paths.ts'
import type { Lab, Output } from './lab.ts'
import { network } from './net.ts'

const bin = inRoot('bin', 'synaptic-mesh.js')

/** Brings the package's bundles up to date. */
export function build(): void {
  const { status } = spawnSync(process.execPath, [inRoot('scripts', 'build.ts'), '--if-stale'], { stdio: ['ignore', 'ignore', 'inherit'] })
  assert.equal(status, 0)
}

/** A host of the laboratory with a home of its own, where the package's command line runs its daemon. */
export class DaemonHost implements AsyncDisposable {
  readonly name: string
  readonly #lab: Lab
  readonly #home = mkdtempSync(join(tmpdir(), 'sm-natlab-'))

  constructor(lab: Lab, name: string) {
    this.#lab = lab
    this.name = name
  }

  /** Makes the profile and starts the daemon. */
  async init(...args: readonly string[]): Promise<void> {
    await this.json('init', '--name', this.name, '--network', network, '--no-mdns', ...args)
  }

  /** Where its profile is. */
  get folder(): string {
    return this.#home
  }

  p2p(...args: readonly string[]): Promise<Output> {
    return this.#lab.run(this.name, [process.execPath, bin, 'p2p', ...args], this.#environment)
  }

  /** What a command answers under --json. Fails when the command does. */
  async json<T = Readonly<Record<string, unknown>>>(...args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.p2p(...args, '--json')
    assert.equal(code, 0, `${this.name}: p2p ${args.join(' ')}: ${stderr}`)
    return JSON.parse(stdout)
  }

  /** Pairs with another host, which gets this alias here. */
  async join(other: DaemonHost, alias: string): Promise<void> {
    const { invite } = await other.json<{ readonly invite: string }>('invite')
    await this.json('join', invite, '--as', alias)
  }

  /** Runs `p2p relay serve`; resolves to the flags that it tells others to use. */
  async serveRelay(...args: readonly string[]): Promise<{ readonly flags: readonly string[]; readonly child: ChildProcess }> {
    const child = this.#lab.node(this.name, [bin, 'p2p', 'relay', 'serve', '--network', network, '--json', ...args], this.#environment)
    assert.ok(child.stdout !== null && child.stderr !== null)
    const errors: string[] = []
    child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text))
    const line = await Promise.race([once(createInterface(child.stdout), 'line'), once(child, 'exit').then(() => [])])
    assert.equal(typeof line[0], 'string', `the relay did not start: ${errors.join('')}`)
    const { flags }: { readonly flags: string } = JSON.parse(String(line[0]))
    return { flags: flags.split(' '), child }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.p2p('stop')
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 3 })
  }

  get #environment(): NodeJS.ProcessEnv {
    return { HOME: this.#home, SYNAPTIC_MESH_DATA_DIR: join(this.#home, 'd'), NO_COLOR: '1' }
  }
}
