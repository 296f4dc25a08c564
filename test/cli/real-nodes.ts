import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Home, repository } from './support.ts'

/** The package's own bin, bundles and all: real nodes on 127.0.0.1. */
export const bin = join(repository, 'bin', 'synaptic-mesh.js')
const built = spawnSync(process.execPath, [join(repository, 'scripts', 'build.ts'), '--if-stale'], { stdio: ['ignore', 'ignore', 'inherit'] })
assert.equal(built.status, 0)

export const local = ['--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--network', 'test-cli'] as const

export async function json<T = Readonly<Record<string, unknown>>>(home: Home, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await home.p2p(...args, '--json')
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
  return JSON.parse(stdout)
}

export interface RealNode {
  readonly home: Home
  readonly address: string
  readonly peerId: string
}

/** A node at any free port, which looks for others through `bootstrap`. */
export const startNode = (t: TestContext, name: string, bootstrap?: string): Promise<RealNode> =>
  initNode(t, name, bootstrap === undefined ? [] : ['--bootstrap', bootstrap])

/** @param flags - further arguments of `init` */
export async function initNode(t: TestContext, name: string, flags: readonly string[]): Promise<RealNode> {
  const home = new Home(t, bin)
  const { addresses, peerId } = await json<{ readonly addresses: readonly string[]; readonly peerId: string }>(
    home,
    'init',
    '--name',
    name,
    ...local,
    ...flags
  )
  return { home, address: addresses[0] ?? '', peerId }
}
