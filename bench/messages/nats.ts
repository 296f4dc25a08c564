import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection, StorageType } from 'nats'
import { bodyBytes } from './child.ts'

export interface NatsFigures {
  /** Messages a second: published by one connection, received by another one of the same process. */
  readonly core: number
  /** Messages a second, each acknowledged by JetStream's file store with its defaults. */
  readonly jetStream: number
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Measures Debian's nats-server on loopback, in a folder of its own. */
export async function natsFigures(): Promise<NatsFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'synaptic-bench-nats-'))
  const port = await freePort()
  const server = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder], { stdio: 'ignore' })
  try {
    const options = { servers: `127.0.0.1:${port}`, waitOnFirstConnect: true, reconnectTimeWait: 100 }
    const [publisher, subscriber] = await Promise.all([connect(options), connect(options)])
    const figures = { core: await core(publisher, subscriber), jetStream: await jetStream(publisher) }
    await Promise.all([publisher.close(), subscriber.close()])
    return figures
  } finally {
    server.kill('SIGTERM')
    await once(server, 'exit')
    await rm(folder, { recursive: true, force: true })
  }
}

async function core(publisher: NatsConnection, subscriber: NatsConnection): Promise<number> {
  const count = 100_000
  const body = new Uint8Array(bodyBytes).fill(7)
  const all = Promise.withResolvers<void>()
  let received = 0
  subscriber.subscribe('core', { callback: () => void (++received === count && all.resolve()) })
  await subscriber.flush()
  const start = performance.now()
  for (let index = 0; index < count; index++) {
    publisher.publish('core', body)
    if (index % 256 === 255) await publisher.flush()
  }
  await all.promise
  return (1_000 * count) / (performance.now() - start)
}

async function jetStream(publisher: NatsConnection): Promise<number> {
  const count = 20_000
  const body = new Uint8Array(bodyBytes).fill(7)
  const manager = await publisher.jetstreamManager()
  await manager.streams.add({ name: 'bench', subjects: ['durable'], storage: StorageType.File })
  const stream = publisher.jetstream()
  const start = performance.now()
  for (let sent = 0; sent < count; sent += 1_000) {
    await Promise.all(Array.from({ length: 1_000 }, () => stream.publish('durable', body)))
  }
  return (1_000 * count) / (performance.now() - start)
}
