/**
 * Two agents in one process: they pair by an invite, one sends a thought and then a command, the other answers. Run it: node examples/two-agents.ts
 * On two machines each part stands in a program of its own, and the invite travels by any channel that you trust.
 */
import { createMesh, type ReceivedMessage } from 'synaptic-mesh'

/** Loopback only, any free port: leave both lines out to be found by others. */
const local = { listenAddrs: ['/ip4/127.0.0.1/tcp/0'], mdns: false }
const textOf = (message: ReceivedMessage): string => new TextDecoder().decode(message.body)

// Without a folder to keep its state in, a node lives as long as its process.
await using alice = await createMesh({ ...local, name: 'alice' })
await using bob = await createMesh({ ...local, name: 'bob' })

const { invite } = await alice.invite()
const paired = await bob.join(invite)
console.log(`bob is paired with ${paired.name}`)

// A Command is answered, everything else is printed. The sender is the key that was paired; the body is its word.
alice.on('message', (message) => {
  if (message.type === 'Command') void alice.reply(message, `done: ${textOf(message)}`)
  else console.log(`alice got a ${message.type} of ${message.source.name}: ${textOf(message)}`)
})

const report = await bob.send('alice', 'Processing sensory data', { type: 'Thought', priority: 8 })
console.log(`bob's message is ${report.status} at alice`)

const answer = await bob.request('alice', 'Execute task sequence', { priority: 10 })
console.log(`alice answered: ${textOf(answer)}`)

// What was handled is acknowledged by its id: it is never handed out again, and its sender learns that it was read.
const { messages } = await alice.inbox.list()
await alice.inbox.ack(messages.map(({ source, id }) => ({ source: source.peerId, id })))
console.log(`alice acknowledged ${messages.length} messages`)
