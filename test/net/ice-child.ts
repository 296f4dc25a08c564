/** Two nodes, one ICE connection, an orderly stop; then nothing may keep the process alive. */
import { relayed, runIceNode } from './ice-support.ts'
import { startRelay } from './relay-support.ts'

const relay = await startRelay()
const [a, b] = [await runIceNode(relay), await runIceNode(relay)]
await relayed(a.node, b.node)
const { path } = await a.node.ice.connect(b.node.host.peerId)
process.stdout.write(`${path}\n`)
for (const each of [a, b]) await each.stop()
await relay.stop()
