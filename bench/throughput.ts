/** Bytes through an encrypted connection on loopback: ours against stock Noise and against raw TCP, in records of 64 KiB and of 1 KiB. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { parseArgs } from 'node:util'
import type { ComponentLogger, Logger, MessageStream, MultiaddrConnection, Upgrader } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { classicalId, hybridId, type NoiseSide, ourSide, stockSide } from '../test/net/noise-pair.ts'
import { verdict } from './verdict.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '11' }, mebibytes: { type: 'string', default: '48' } } })
const rounds = Math.max(11, Number(values.rounds))
const mebibyte = 1_048_576

/** The largest plaintext of a record, and a small one: what each send holds. */
const sizes = { '64 KiB': 65_519, '1 KiB': 1_024 } as const
type SizeName = keyof typeof sizes
const totalOf = (size: SizeName): number => Number(values.mebibytes) * mebibyte * (size === '1 KiB' ? 0.25 : 1)

interface Pipe {
  /** Sends `count` times `bytes`; resolves when all has come out at the other end. */
  readonly move: (bytes: Uint8Array, count: number) => Promise<void>
  readonly close: () => Promise<void>
}

const quiet = (): Logger => Object.assign((): void => undefined, { enabled: false, trace: quietTrace, error: (): void => undefined, newScope: quiet })
const quietTrace = Object.assign((): void => undefined, { enabled: false })
const logger: ComponentLogger = { forComponent: quiet }

/** Two ends of libp2p's TCP, before anything is negotiated. */
async function rawConnections(): Promise<{
  readonly near: MultiaddrConnection
  readonly far: MultiaddrConnection
  readonly close: () => Promise<void>
}> {
  const transport = tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } })({ logger, events: new EventTarget() } as never)
  const { promise: inbound, resolve } = Promise.withResolvers<MultiaddrConnection>()
  const upgrader = {
    upgradeInbound: async (connection: MultiaddrConnection) => resolve(connection),
    upgradeOutbound: async (connection: MultiaddrConnection) => connection
  }
  const listener = transport.createListener({ upgrader: upgrader as never as Upgrader })
  await listener.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
  const address = listener.getAddrs()[0]
  if (address === undefined) throw new Error('the listener has no address')
  const near = (await transport.dial(address, { upgrader: upgrader as never, signal: new AbortController().signal })) as never as MultiaddrConnection
  const close = async (): Promise<void> => {
    near.abort(new Error('the bench is over'))
    await listener.close()
  }
  return { near, far: await inbound, close }
}

async function encryptedPipe(protocol: string, sides: readonly [NoiseSide, NoiseSide]): Promise<Pipe> {
  const { near, far, close } = await rawConnections()
  const [from, to] = [sides[0].encrypters.get(protocol), sides[1].encrypters.get(protocol)]
  if (from === undefined || to === undefined) throw new Error(`no ${protocol}`)
  const [sender, receiver] = await Promise.all([from.secureOutbound(near), to.secureInbound(far)])
  let wanted = 0
  let done = (): void => undefined
  receiver.connection.addEventListener('message', ({ data }) => {
    wanted -= data.byteLength
    if (wanted === 0) done()
  })
  const move = async (bytes: Uint8Array, count: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    wanted = bytes.length * count
    done = resolve
    // onDrain() of libp2p 3.3 waits for the first drain only.
    for (let index = 0; index < count; index++) if (!sender.connection.send(bytes)) await drained(sender.connection)
    await promise
  }
  return { move, close }
}

const drained = (stream: MessageStream): Promise<unknown> => new Promise((resolve) => stream.addEventListener('drain', resolve, { once: true }))

async function tcpPipe(): Promise<Pipe> {
  const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  const [far] = await once(server, 'connection')
  let wanted = 0
  let done = (): void => undefined
  far.on('data', (data: Uint8Array) => {
    wanted -= data.length
    if (wanted === 0) done()
  })
  const move = async (bytes: Uint8Array, count: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    wanted = bytes.length * count
    done = resolve
    for (let index = 0; index < count; index++) if (!near.write(bytes)) await once(near, 'drain')
    await promise
  }
  const close = async (): Promise<void> => {
    near.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { move, close }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

/** MiB for each second of CPU, both ends together. */
async function measure(pipe: Pipe, size: SizeName): Promise<number> {
  const bytes = new Uint8Array(sizes[size]).fill(7)
  const count = Math.ceil(totalOf(size) / bytes.length)
  const before = process.cpuUsage()
  await pipe.move(bytes, count)
  const { user, system } = process.cpuUsage(before)
  return (count * bytes.length) / mebibyte / ((user + system) / 1_000_000)
}

const contestants = ['raw TCP', 'stock /noise', 'ours /noise', 'hybrid level 3'] as const
type Name = (typeof contestants)[number]

const pipes: Readonly<Record<Name, Pipe>> = {
  'raw TCP': await tcpPipe(),
  'stock /noise': await encryptedPipe(classicalId, [await stockSide(), await stockSide()]),
  'ours /noise': await encryptedPipe(classicalId, [await ourSide({ levels: [] }), await ourSide({ levels: [] })]),
  'hybrid level 3': await encryptedPipe(hybridId, [await ourSide(), await ourSide()])
}

async function figuresOf(size: SizeName): Promise<Readonly<Record<Name, number>>> {
  const found: Record<Name, number[]> = { 'raw TCP': [], 'stock /noise': [], 'ours /noise': [], 'hybrid level 3': [] }
  for (let round = -1; round < rounds; round++) {
    for (const [index] of contestants.entries()) {
      const name = contestants[(index + round + 1) % contestants.length] ?? 'raw TCP'
      const figure = await measure(pipes[name], size)
      if (round >= 0) found[name].push(figure)
    }
  }
  process.stdout.write(`Sends of ${size}, both ends in one process, medians of ${rounds} rounds\n`)
  for (const name of contestants)
    process.stdout.write(`  ${name.padEnd(16)} ${median(found[name]).toFixed(0).padStart(6)} MiB for each second of CPU\n`)
  return {
    'raw TCP': median(found['raw TCP']),
    'stock /noise': median(found['stock /noise']),
    'ours /noise': median(found['ours /noise']),
    'hybrid level 3': median(found['hybrid level 3'])
  }
}

const large = await figuresOf('64 KiB')
const small = await figuresOf('1 KiB')
for (const name of contestants) await pipes[name].close()

verdict([
  { name: '64 KiB: hybrid / stock', value: large['hybrid level 3'] / large['stock /noise'], unit: 'times', atLeast: 0.95 },
  { name: '1 KiB: hybrid / stock', value: small['hybrid level 3'] / small['stock /noise'], unit: 'times', atLeast: 0.95 },
  { name: '64 KiB: hybrid / raw TCP (target 0.40)', value: large['hybrid level 3'] / large['raw TCP'], unit: 'times', atLeast: 0.2 }
])
