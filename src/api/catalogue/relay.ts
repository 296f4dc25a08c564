import { optionTable } from '../../core/options/index.ts'
import { command } from '../command.ts'

const port = { type: 'integer', min: 0, max: 65_535, placeholder: 'PORT' } as const

export const relayServe = command({
  words: ['relay', 'serve'],
  help: 'be a bootstrap node, circuit relay and STUN server for others, in the foreground; makes the profile where it is missing',
  fields: {
    open: { type: 'boolean', help: optionTable.relay_open.help },
    allow: {
      type: 'list',
      maxItems: optionTable.relay_allow.maxItems,
      maxCharacters: 64,
      placeholder: 'PEER-ID',
      help: optionTable.relay_allow.help
    },
    announce: {
      type: 'list',
      maxItems: optionTable.announce_addrs.maxItems,
      maxCharacters: 300,
      placeholder: 'HOST-OR-MULTIADDR',
      help: 'an IP address, host name or whole address under which others reach this machine, where it does not have that address itself'
    },
    port: { ...port, min: 1, help: 'the TCP port; 9000 for a new relay' },
    wsPort: { ...port, help: 'the port of WebSocket, for those who may only use 443: that one for a new relay; 0 = none' },
    stunPort: { ...port, help: `${optionTable.stun_port.help}; 3478 for a new relay` },
    host: {
      type: 'list',
      maxItems: 4,
      maxCharacters: 45,
      placeholder: 'IP',
      help: 'an IP address to listen on; all of IPv4 and IPv6 for a new relay'
    },
    name: { type: 'text', max: 63, help: optionTable.name.help },
    network: { type: 'text', max: 40, help: optionTable.network.help }
  },
  examples: [
    'synaptic-mesh p2p relay serve',
    'synaptic-mesh p2p relay serve --open --announce relay.example.org',
    'synaptic-mesh p2p relay serve --port 9000 --ws-port 9001 --stun-port 0'
  ],
  errors: [
    'DAEMON_RUNNING',
    'DAEMON_START_FAILED',
    'LISTEN_FAILED',
    'PORT_PRIVILEGED',
    'OPTION_INVALID',
    'ADDRESS_INVALID',
    'CONFIG_MALFORMED',
    'KEY_CORRUPT',
    'PERMISSIONS_UNSAFE',
    'PATH_UNSAFE',
    'STATE_NEWER',
    'STATE_CORRUPT'
  ],
  output: (z) =>
    z.strictObject({
      profile: z.string(),
      created: z.boolean(),
      peerId: z.string(),
      pid: z.int(),
      socket: z.string(),
      open: z.boolean(),
      addresses: z.array(z.string()),
      /** Those that others outside of this machine can use, the best first. */
      reachable: z.array(z.string()),
      stunPort: z.int(),
      /** What others add to `init`. */
      flags: z.string()
    })
})
