/** A network of three real nodes in this process, for tests of your own: they find each other through the first. Run it: node examples/testnet.ts */
import { createTestnet } from 'synaptic-mesh/testing'

await using net = await createTestnet(3)
const [first, second, third] = [net.node(0), net.node(1), net.node(2)]

await net.pair(second, third)
const report = await second.send('node-2', 'ready', { type: 'AgentCoordination' })
console.log(`a message to a paired peer is ${report.status}`)

// The first and the third are not paired: what comes from a stranger is held apart, and its sender is told so.
const stranger = await first.send(third.peerId, 'who are you?')
console.log(`a message from a stranger is ${stranger.status}`)

const { found } = await third.discover({ method: 'kademlia', count: 2 })
console.log(`the third node found ${found} others`)
