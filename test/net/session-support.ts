import { multiaddr } from '@multiformats/multiaddr'
import { isMeshError } from '../../src/core/base/index.ts'
import { nodeHandshakeCrypto } from '../../src/crypto/handshake-crypto.ts'
import { createSigner, createVerifier } from '../../src/crypto/index.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import { type SessionContext, type SessionContextOptions, createSessionContext } from '../../src/mesh/session-context.ts'
import { type AcceptSessionOptions, type OpenSessionOptions, type SessionStream, acceptSession, openSession } from '../../src/mesh/session-stream.ts'
import { type TestHost, type TestHostOptions, clock, startTestHost, timers } from './support.ts'

export const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

export const inner = { id: 'test', maxFrameBytes: 1_114_112, frameMs: 10_000 }

export const contextOf = (host: TestHost, changes: Partial<SessionContextOptions> = {}): SessionContext =>
  createSessionContext({
    crypto: nodeHandshakeCrypto,
    clock,
    timers,
    network: 'test',
    signer: createSigner(host.seed, 'test'),
    verifier: createVerifier('test'),
    ...changes
  })

export interface SessionPair extends AsyncDisposable {
  readonly a: TestHost
  readonly b: TestHost
  /** Opens a session from a to b. */
  open(changes?: Partial<OpenSessionOptions>): Promise<SessionStream>
  /** The stream below a session, of which b thinks that it carries one. */
  openBelow(): Promise<FrameStream>
}

/** Two nodes; b accepts sessions and hands them to `serve`. */
export async function sessionPair(
  serve: (session: SessionStream) => Promise<void>,
  options: {
    readonly hosts?: TestHostOptions
    readonly context?: Partial<SessionContextOptions>
    readonly accept?: Partial<AcceptSessionOptions>
  } = {}
): Promise<SessionPair> {
  const a = await startTestHost(options.hosts)
  const b = await startTestHost(options.hosts)
  await a.libp2p.peerStore.merge(b.libp2p.peerId, { multiaddrs: b.libp2p.getMultiaddrs().map((address) => multiaddr(address.toString())) })
  const contexts = { a: contextOf(a, options.context), b: contextOf(b, options.context) }
  await b.host.serve('pqs', async (stream) => {
    await serve(await acceptSession(stream, { context: contexts.b, inner, minimumLevel: 1, responder: b.peerId, ...options.accept }))
  })
  const openBelow = (): Promise<FrameStream> => a.host.open(b.peerId, 'pqs')
  return {
    a,
    b,
    openBelow,
    open: async (changes = {}) => openSession(await openBelow(), { context: contexts.a, inner, level: 3, ...changes }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()])
    }
  }
}

/** All frames until the end. */
export async function collect(stream: FrameStream): Promise<readonly Uint8Array[]> {
  const frames: Uint8Array[] = []
  for await (const frame of stream.frames()) frames.push(frame)
  return frames
}
