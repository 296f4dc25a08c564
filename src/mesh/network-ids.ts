/** The ids by which nodes of one network find each other; those of another network do not understand them. */
export interface NetworkIds {
  /** Of identify and ping, which are the same in every network. */
  readonly prefix: string
  readonly dht: string
  readonly gossip: string
  readonly mdnsTag: string
}

/** The ids of `network` (1 to 40 of a-z, 0-9 and -). See docs/wire/transport.md. */
export function networkIds(network: string): NetworkIds {
  return {
    prefix: 'synaptic-mesh',
    dht: `/synaptic-mesh/${network}/kad/1.0.0`,
    gossip: `/synaptic-mesh/${network}/gossipsub/1.2.0`,
    mdnsTag: `_synaptic-mesh-${network}._udp.local`
  }
}

/** The topics that are gossiped. */
export type GossipTopicName = 'cards' | 'onion' | 'group'

export const gossipTopic = (network: string, name: GossipTopicName): string => `/synaptic-mesh/${network}/gossip/${name}/1`
