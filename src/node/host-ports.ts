import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { PeerInfo } from '@libp2p/interface'
import type { GossipPort } from '../mesh/cards.ts'
import type { DhtPort, MdnsPort } from '../mesh/discovery.ts'
import type { MeshHost } from './host.ts'

const results = { accept: TopicValidatorResult.Accept, ignore: TopicValidatorResult.Ignore, reject: TopicValidatorResult.Reject } as const

/** Gossip over libp2p's gossipsub. Every message is judged once, before it is passed on. */
export function gossipPort(libp2p: MeshHost): GossipPort {
  const { gossip } = libp2p.services
  return {
    subscribe: (topic, handler) => {
      gossip.topicValidators.set(topic, (propagator, message) =>
        message.type === 'signed' ? results[handler(message.from.toString(), message.data, propagator.toString())] : results.reject
      )
      gossip.subscribe(topic)
    },
    publish: async (topic, data) => (await gossip.publish(topic, data)).recipients.length
  }
}

/** What mDNS hears; undefined when it is off. */
export function mdnsPort(libp2p: { readonly services: Pick<MeshHost['services'], 'mdns'> }): MdnsPort | undefined {
  const { mdns } = libp2p.services
  if (mdns === undefined) return undefined
  return {
    onPeer: (handler) => {
      // Anybody on the local network may announce anything: ids of keys of another kind are nobody's here.
      const listener = ({ detail }: CustomEvent<PeerInfo>): void => {
        if (detail.id.type === 'Ed25519') handler(detail.id.toString(), detail.multiaddrs.map(String))
      }
      mdns.addEventListener('peer', listener)
      return () => mdns.removeEventListener('peer', listener)
    }
  }
}

/** Walks of libp2p's Kademlia. */
export function dhtPort(libp2p: MeshHost): DhtPort {
  return {
    async *walk(key, signal) {
      for await (const event of libp2p.services.dht.getClosestPeers(key, { signal })) {
        if (event.name === 'PEER_RESPONSE') yield* event.closer
        else if (event.name === 'FINAL_PEER') yield event.peer
      }
    }
  }
}
