import type { StreamMuxerFactory } from '@libp2p/interface'
import { MeshError } from '../core/base/index.ts'

type Pipe = Parameters<StreamMuxerFactory['createStreamMuxer']>[0]

/** What may wait for a peer to read on: a chunk of 64 KiB for each of 256 streams, and a half more. */
const maxWaitingBytes = 25_165_824
/** The header of a yamux frame: all of a ping, of the answer to one, of a reset. */
const headerBytes = 12
/** Frames without data that may wait; each takes 200 bytes of memory. */
const maxWaitingHeaders = 16_384

/**
 * A muxer that ends a connection whose peer does not read while answers to it pile up. Data waits in its streams, by their windows; but yamux answers every ping
 * and every stream too many at once, and keeps the answers without a bound: a stranger had them fill memory by 45 MB a second.
 */
export function boundedWrites<Components>(create: (components: Components) => StreamMuxerFactory): (components: Components) => StreamMuxerFactory {
  return (components) => {
    const factory = create(components)
    const { protocol } = factory
    return { protocol, createStreamMuxer: (pipe) => factory.createStreamMuxer(bound(pipe)) }
  }
}

function bound(pipe: Pipe): Pipe {
  const send = pipe.send.bind(pipe)
  let headers = 0
  pipe.maxWriteBufferLength = maxWaitingBytes
  pipe.send = (data) => {
    const goesOn = send(data)
    if (goesOn) headers = 0
    else if (data.byteLength <= headerBytes && ++headers === maxWaitingHeaders)
      pipe.abort(new MeshError('PROTOCOL_LIMIT', { protocol: 'yamux', reason: 'it does not read what answers it' }))
    return goesOn
  }
  return pipe
}
