import { setPriority } from 'node:os'
import type { Stream } from '@libp2p/interface'
import { circuitStatus } from '../../src/core/nat/index.ts'
import { fill, RawPeer } from '../net/circuit-support.ts'

/** Two hundred peers that take places, ask without end, fill circuits as fast as they go, and read what comes, or nothing of it. */
const [relay = ''] = process.argv.slice(2)
// On machines of their own they would not take the relay's time.
setPriority(19)
const count = 200
const statuses = { reserve: new Map<unknown, number>(), call: new Map<unknown, number>() }
const add = (counts: Map<unknown, number>, key: unknown): void => void counts.set(key, (counts.get(key) ?? 0) + 1)
let isRunning = true

function flood(stream: Stream): void {
  const push = (): void => {
    if (isRunning) fill(stream, 1_048_576)
  }
  stream.addEventListener('drain', () => setTimeout(push, 50))
  push()
}

const readers = [(stream: Stream): void => stream.pause(), (stream: Stream): void => stream.addEventListener('message', () => undefined)]
const clients: RawPeer[] = []
for (let index = 0; index < count; index += 20) {
  const batch = await Promise.all(Array.from({ length: 20 }, async (_, offset) => RawPeer.start(readers[(index + offset) % readers.length])))
  await Promise.all(batch.map((client) => client.connect(relay)))
  clients.push(...batch)
}
const withPlace: RawPeer[] = []
for (const client of clients) {
  const status = await client.reserve().catch((error) => (console.error(String(error)), 'cut'))
  add(statuses.reserve, status)
  if (status === circuitStatus.ok) withPlace.push(client)
}

async function attack(client: RawPeer, index: number): Promise<void> {
  for (let round = 0; isRunning; round++) {
    const target = withPlace[(index * 7 + round) % withPlace.length]
    if (target === undefined || target === client) continue
    try {
      const { status, stream } = await client.call(target.peerId)
      add(statuses.call, status)
      if (status === circuitStatus.ok) flood(stream)
      if (round % 3 === 0) add(statuses.reserve, await client.reserve())
      if (round % 5 === 0) (await client.hop()).send(new Uint8Array(8_192).fill(255))
    } catch {
      add(statuses.call, 'cut')
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

process.once('message', () => {
  isRunning = false
  process.send?.({ reserve: Object.fromEntries(statuses.reserve), call: Object.fromEntries(statuses.call) })
})
process.once('disconnect', () => process.exit(0))
process.send?.({ places: withPlace.length })
const hammer = async (client: RawPeer): Promise<void> => {
  for (let round = 0; round < 4; round++)
    await Promise.all(Array.from({ length: 8 }, async () => add(statuses.reserve, await client.reserve().catch(() => 'cut'))))
}
void Promise.all(clients.slice(0, 3).map(hammer))
clients.forEach((client, index) => void attack(client, index))
