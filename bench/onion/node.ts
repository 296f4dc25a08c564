/** One node of a bench, in a process of its own: argv is its options as JSON; each message of the parent is a call, and has one answer. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshNode } from '../../src/mesh/mesh-node.ts'
import type { LinkHosts } from '../../src/mesh/onion/link-host.ts'
import type { Call, NodeConfig } from './nodes.ts'
import { nodeOptions } from './node-options.ts'
import { SessionNode } from './session-node.ts'

const given = JSON.parse(process.argv[2] ?? '{}') as NodeConfig & { readonly detours: Readonly<Record<string, number>> }
const { kind, config } = given
const body = new Uint8Array(1_024).fill(7)
/** Where connections for links go instead, by port. */
let { detours } = given

const wrap = (hosts: LinkHosts): LinkHosts => ({
  start: async () => {
    const host = await hosts.start()
    const detour = (address: string): string => address.replace(/\/tcp\/(\d+)/, (_, port: string) => `/tcp/${detours[port] ?? port}`)
    return { ...host, dial: { dial: (address, options) => host.dial.dial(multiaddr(detour(String(address))), options) } }
  }
})

const folder = kind === 'stored' ? mkdtempSync(join(tmpdir(), 'synaptic-bench-')) : undefined
const options = await nodeOptions({ config, wrap, stateFolder: folder === undefined ? undefined : join(folder, 'state') })
const session = kind === 'session' ? await SessionNode.start(options) : undefined
const mesh = kind === 'session' ? undefined : await MeshNode.start(options)

async function circuit(node: MeshNode, { peer, hops }: Extract<Call, { readonly do: 'circuit' }>): Promise<object> {
  const { id, ...built } = await node.circuit(peer, { hops })
  await node.closeCircuit(id)
  return { hops: built.hops, isWarm: built.isWarm, attempts: built.attempts, buildMs: built.buildMs, stepMs: built.stepMs, rttMs: built.rttMs }
}

async function send(node: MeshNode, { peer, via }: Extract<Call, { readonly do: 'send' }>): Promise<object> {
  const start = performance.now()
  const { status, path } = await node.send(peer, body, { via })
  if (status !== 'stored' || (path === 'onion') !== (via === 'onion')) throw new Error(`a message is ${status}, path ${path}`)
  return { ms: performance.now() - start }
}

async function ofMesh(node: MeshNode, call: Call): Promise<unknown> {
  switch (call.do) {
    case 'invite':
      return (await node.invite()).invite
    case 'join':
      return node.join(call.invite)
    case 'onion':
      return (await node.status()).onion
    case 'circuit':
      return circuit(node, call)
    case 'send':
      return send(node, call)
    default:
      throw new Error(`no call ${call.do} of such a node`)
  }
}

async function answer(call: Call | 'started'): Promise<unknown> {
  if (call === 'started') return { peerId: options.libp2p.peerId.toString(), address: String(options.libp2p.getMultiaddrs()[0]) }
  if (call.do === 'detours') {
    detours = call.ports
    return undefined
  }
  if (call.do === 'cpu') {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  }
  if (mesh !== undefined) return ofMesh(mesh, call)
  return session?.call(call)
}

process.once('exit', () => folder !== undefined && rmSync(folder, { recursive: true, force: true }))
process.once('disconnect', () => process.exit(0))
process.on('message', (call: Call | 'started') => {
  answer(call).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error instanceof Error ? error.stack : error) })
  )
})
