import { createRequire } from 'node:module'
import { bodyBytes, percentiles, serveSide } from './child.ts'

/** The part of HyperDHT's interface that is used here; the package has no types. */
interface Socket {
  write(bytes: Uint8Array): boolean
  on(event: 'data', handler: (bytes: Uint8Array) => void): void
  on(event: 'error', handler: (error: Error) => void): void
  once(event: 'open' | 'drain' | 'data', handler: () => void): void
}
interface Dht {
  fullyBootstrapped(): Promise<void>
  createServer(handler: (socket: Socket) => void): { listen(): Promise<void>; readonly publicKey: Uint8Array }
  connect(publicKey: Uint8Array): Socket
  destroy(): Promise<void>
}
interface Address {
  readonly host: string
  readonly port: number
}
interface Testnet {
  readonly bootstrap: readonly Address[]
  createNode(options: { readonly firewalled: boolean }): Dht
  destroy(): Promise<void>
}
interface DhtConstructor {
  new (options: { readonly bootstrap: readonly Address[]; readonly host: string; readonly ephemeral: boolean }): Dht
}

const require = createRequire(import.meta.url)
const HyperDHT = require('hyperdht') as DhtConstructor
const createTestnet = require('hyperdht/testnet.js') as (size: number, options: { readonly host: string }) => Promise<Testnet>
const host = '127.0.0.1'
const testnet = await createTestnet(3, { host })
let own: Dht | undefined

/** Takes messages of `bodyBytes`; a first message of 4 bytes says how many follow, or 0 for an echo. */
function serve(socket: Socket): void {
  let wanted: number | undefined
  let taken = 0
  socket.on('error', (error) => console.error(error))
  socket.on('data', (bytes) => {
    if (wanted === undefined) {
      wanted = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
      return
    }
    taken += bytes.length
    if (wanted === 0) socket.write(bytes)
    else if (taken === wanted * bodyBytes) socket.write(new Uint8Array([1]))
  })
}

const server = testnet.createNode({ firewalled: false }).createServer(serve)
await server.listen()
let remoteKey: Uint8Array = Buffer.alloc(32)

async function open(count: number): Promise<Socket> {
  if (own === undefined) throw new Error('not connected')
  const socket = own.connect(remoteKey)
  socket.on('error', (error) => console.error(error))
  await new Promise<void>((resolve) => socket.once('open', resolve))
  const header = new Uint8Array(4)
  new DataView(header.buffer).setUint32(0, count)
  socket.write(header)
  return socket
}

async function flood(count: number): Promise<Record<string, number>> {
  const socket = await open(count)
  const body = new Uint8Array(bodyBytes).fill(7)
  const done = new Promise<void>((resolve) => socket.once('data', resolve))
  const start = performance.now()
  for (let index = 0; index < count; index++) {
    if (!socket.write(body)) await new Promise<void>((resolve) => socket.once('drain', resolve))
  }
  await done
  return { perSecond: (1_000 * count) / (performance.now() - start) }
}

async function roundTrips(count: number): Promise<Record<string, number>> {
  const socket = await open(0)
  const body = new Uint8Array(bodyBytes).fill(7)
  const samples: number[] = []
  for (let index = 0; index < count; index++) {
    const start = performance.now()
    const done = new Promise<void>((resolve) => socket.once('data', resolve))
    socket.write(body)
    await done
    samples.push(performance.now() - start)
  }
  return percentiles(samples)
}

await serveSide({
  address: JSON.stringify({ bootstrap: testnet.bootstrap, key: Buffer.from(server.publicKey).toString('hex') }),
  connect: async (address) => {
    const { bootstrap, key } = JSON.parse(address) as { readonly bootstrap: readonly Address[]; readonly key: string }
    remoteKey = Buffer.from(key, 'hex')
    own = new HyperDHT({ bootstrap, host, ephemeral: true })
    await own.fullyBootstrapped()
  },
  run: (name, count) => (name === 'flood' ? flood(count) : roundTrips(count)),
  stop: async () => {
    await own?.destroy()
    await testnet.destroy()
  }
})
