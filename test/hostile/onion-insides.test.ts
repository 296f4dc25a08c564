import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import { createSigner, createVerifier } from '../../src/crypto/index.ts'
import { DirectoryService, type DirectoryServiceOptions } from '../../src/mesh/onion/directory-service.ts'
import { heldGossip, network, stranger } from '../net/onion-directory-support.ts'
import { KnownNodes, type RelayNode, startRelayNode } from '../net/onion-relay-support.ts'
import { clock, random, timers } from '../net/support.ts'
import { startTrap } from './trap.ts'

interface Listening extends AsyncDisposable {
  readonly node: RelayNode
  /** Where it listens, whatever it announces. */
  readonly address: string
  readonly gossip: ReturnType<typeof heldGossip>
}

/** A relay that finds others in its directory, which the test fills. */
async function startListening(announce: readonly string[]): Promise<Listening> {
  const gossip = heldGossip()
  const held: { directory?: DirectoryService } = {}
  const address = await freeAddress()
  const known = new KnownNodes()
  const node = await startRelayNode({ known, hostOptions: { announce, listen: [address] }, lookup: (key) => held.directory?.lookup(key) })
  const { libp2p, host, seed } = node.host
  const describe: DirectoryServiceOptions['describe'] = () => undefined
  const store = { load: async () => undefined, save: async () => undefined }
  const directory = new DirectoryService({
    ...{ libp2p, host, clock, timers, random, network, describe, store, gossip: gossip.port, isProtected: () => false, log: () => undefined },
    signer: createSigner(seed, network),
    verifier: createVerifier(network)
  })
  held.directory = directory
  await directory.start()
  const stop = async (): Promise<void> => {
    await directory.stop()
    await node[Symbol.asyncDispose]()
  }
  return { node, address, gossip, [Symbol.asyncDispose]: stop }
}

/** One that nobody listens at any more. */
async function freeAddress(): Promise<string> {
  await using trap = await startTrap()
  return trap.address
}

/** A stranger says that he is at `addresses`, and has the relay call him there; what comes of it. */
async function callOf({ node, address, gossip }: Listening, name: string, addresses: readonly string[]): Promise<string> {
  const { peerId, publicKey, signed } = stranger(name)
  assert.equal(gossip.hear(peerId, signed({ addresses })), 'accept')
  await using client = await startRelayNode({ known: new KnownNodes() })
  const circuit = await client.circuit({ target: node.target, addresses: [address] })
  await circuit.extend(node.target, 3, 5_000)
  try {
    await circuit.extend({ publicKey, onionKey: random.bytes(32) }, 3, 3_000)
    return 'extended'
  } catch (error) {
    assert.ok(isMeshError(error))
    return error.message
  } finally {
    circuit.close()
  }
}

const insides = ['/ip4/10.0.0.1/tcp/80', '/ip4/192.168.0.1/tcp/80', '/ip4/100.64.0.1/tcp/80', '/ip6/fd00::1/tcp/80', '/ip6/::1/tcp/22']

test('a relay with a public address calls nobody inside of its networks, whatever a descriptor says', async () => {
  await using trap = await startTrap()
  await using relay = await startListening(['/ip4/198.51.77.1/tcp/9000'])
  assert.match(await callOf(relay, 'trap', [trap.address]), /does not know/)
  assert.match(await callOf(relay, 'insides', insides), /does not know/)
  assert.equal(trap.connections, 0)
})

test('a relay of this machine alone calls others of it', async () => {
  await using trap = await startTrap()
  await using relay = await startListening([])
  assert.doesNotMatch(await callOf(relay, 'trap', [trap.address]), /does not know/)
  assert.ok(trap.connections > 0)
})
