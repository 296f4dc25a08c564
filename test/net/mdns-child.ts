/** One node in a network namespace: finds others by mDNS and says whom. Arguments: address to listen on, name, how many to find. */
import { createMesh } from '../../src/node/index.ts'

const [address = '127.0.0.1', name = 'node', count = '1'] = process.argv.slice(2)
await using mesh = await createMesh({ name, network: 'mdns-test', listenAddrs: [`/ip4/${address}/tcp/0`], mdns: true })
const report = await mesh.discover({ method: 'mdns', count: Number(count), timeoutMs: 30_000 })
process.stdout.write(
  `${JSON.stringify({ own: mesh.peerId, found: report.peers.map(({ peerId, claimedName, foundBy }) => ({ peerId, claimedName, foundBy })) })}\n`
)
// Stays until the test closes stdin: the other one still has to find this node.
await new Promise<void>((resolve) => process.stdin.once('end', resolve).resume())
