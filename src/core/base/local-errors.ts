import { because, entry } from './error-entry.ts'

/** A name that a shell takes for one word, as it is. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** Errors of this machine: usage, daemon, state, access, names. Part of the one table. */
export const localErrors = {
  // Usage
  USAGE: entry({ exit: 2, retryable: false, message: (d) => `${d['problem']}`, hint: 'Run the command with --help to see what it takes.' }),
  OPTION_INVALID: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['path']} is ${d['value']}: it must be ${d['allowed']}`,
    hint: 'Every option with its range: docs/options.md; every flag: docs/commands.md, or --help.'
  }),
  OPTION_UNKNOWN: entry({
    exit: 2,
    retryable: false,
    message: (d) => `Unknown option ${d['path']}`,
    hint: (d) => (d['suggestion'] === undefined ? 'See docs/options.md for every option.' : `Did you mean ${d['suggestion']}?`)
  }),
  CONFIG_MALFORMED: entry({
    exit: 2,
    retryable: false,
    message: (d) => `The configuration ${d['file']} cannot be read${because(d)}`,
    hint: 'Mend the line that is named; nothing was changed and no default was put in its place.',
    next: ['synaptic-mesh p2p config check']
  }),
  ADDRESS_INVALID: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['address']} is not an address${because(d)}`,
    hint: (d) =>
      d['suggestion'] === undefined ? `It looks like ${d['example'] ?? '/ip4/192.0.2.1/tcp/9000/p2p/12D3Koo…'}.` : `Write ${d['suggestion']}`
  }),
  NAME_AMBIGUOUS: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['name']} is claimed by several peers: ${(d['candidates'] as readonly string[]).join(', ')}`,
    hint: 'Name the peer by its id, or pair with the one you mean.'
  }),
  NOT_AVAILABLE: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['feature']} is not part of this version`,
    hint: 'Leave the option out, or set it to false. Nothing was switched on in its place.'
  }),
  NODE_TOO_OLD: entry({
    exit: 2,
    retryable: false,
    message: (d) => `Node ${d['found']} is too old: synaptic-mesh needs Node 24 or newer`,
    hint: 'Install Node 24. In a checkout `npm ci` brings it: run `npx synaptic-mesh` there.'
  }),

  // The daemon and its profile
  NOT_INITIALIZED: entry({
    exit: 3,
    retryable: false,
    message: (d) => `The profile ${d['profile']} does not exist yet`,
    hint: 'Make it first.',
    next: ['synaptic-mesh p2p init']
  }),
  DAEMON_UNREACHABLE: entry({
    exit: 3,
    retryable: true,
    message: (d) => `The daemon of profile ${d['profile']} does not answer${because(d)}`,
    hint: 'Start it, or look at its log.',
    next: ['synaptic-mesh p2p start', 'synaptic-mesh p2p logs']
  }),
  DAEMON_RUNNING: entry({
    exit: 3,
    retryable: false,
    message: (d) => `The profile ${d['profile']} is owned by the daemon with pid ${d['pid']}`,
    hint: 'Use it, or stop it first.',
    next: ['synaptic-mesh p2p stop']
  }),
  DAEMON_START_FAILED: entry({
    exit: 3,
    retryable: true,
    message: (d) => `The daemon of profile ${d['profile']} did not start${because(d)}`,
    hint: 'Its log says why.',
    next: ['synaptic-mesh p2p logs']
  }),
  LISTEN_FAILED: entry({
    exit: 3,
    retryable: true,
    message: (d) => `Cannot listen on ${d['address']}${because(d)}`,
    hint: 'Free the port, or choose another: --listen; of the gateway --port; of a relay --port, --ws-port or --stun-port.'
  }),
  PORT_PRIVILEGED: entry({
    exit: 3,
    retryable: false,
    message: (d) => `Port ${d['port']} needs a right that this process does not have`,
    hint: (d) =>
      `In a systemd unit: AmbientCapabilities=CAP_NET_BIND_SERVICE. Otherwise: sudo setcap cap_net_bind_service=+ep ${d['file'] ?? '$(readlink -f $(which node))'}, or choose a port from 1024.`
  }),
  SHUTTING_DOWN: entry({ exit: 3, retryable: true, message: () => 'The daemon is stopping', hint: 'Try again when it runs again.' }),

  // State on disk
  KEY_CORRUPT: entry({
    exit: 8,
    retryable: false,
    message: (d) => `The key file ${d['file']} is damaged${because(d)}`,
    hint: 'It was left as it is: an identity is never replaced on its own. Restore it from a backup, or init another profile.'
  }),
  PERMISSIONS_UNSAFE: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['file']} is open to others (mode ${d['mode']}, wanted ${d['wanted']})`,
    hint: (d) => `Run: chmod ${d['wanted']} ${d['file']}`
  }),
  PATH_UNSAFE: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['file']} cannot be used${because(d)}`,
    hint: 'Links, pipes and files of others are never followed. Remove what stands there, or choose another place.'
  }),
  PROFILE_NAME_INVALID: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['name']} is not a profile name`,
    hint: 'A profile name has 1 to 40 of the characters a-z, 0-9, - and _, and begins with a letter or digit.'
  }),
  STATE_NEWER: entry({
    exit: 1,
    retryable: false,
    message: (d) => `${d['file']} was written by a newer version (schema ${d['found']}, this one knows ${d['known']})`,
    hint: 'Use the newer version. Nothing was touched.'
  }),
  STATE_IN_USE: entry({
    exit: 3,
    retryable: true,
    message: (d) => `${d['file']} is in use by another process`,
    hint: 'One process owns a profile: stop the other one first.'
  }),
  STATE_CORRUPT: entry({
    exit: 1,
    retryable: false,
    message: (d) => `${d['file']} is damaged${because(d)}`,
    hint: 'It was left as it is. Restore it from a backup, or move it away to begin anew.'
  }),
  DISK_FULL: entry({
    exit: 1,
    retryable: true,
    message: () => 'The disk is full: nothing new is accepted, what was accepted is kept',
    hint: 'Free some space; the daemon goes on by itself.'
  }),
  STORE_FAILED: entry({
    exit: 1,
    retryable: true,
    message: (d) => `The store failed${because(d)}`,
    hint: 'The daemon stops acknowledging and ends, so that a restart reads what is really on the disk.',
    next: ['synaptic-mesh p2p logs', 'synaptic-mesh p2p start']
  }),

  // Access
  UNAUTHORIZED: entry({
    exit: 4,
    retryable: false,
    message: () => 'The control API refused the token',
    hint: 'Send it as "Authorization: Bearer TOKEN": the token file of the profile, or over the gateway a token made for the program, not expired and not revoked.',
    next: ['synaptic-mesh p2p gateway token create --scope agent --name NAME', 'synaptic-mesh p2p gateway token list']
  }),
  FORBIDDEN: entry({
    exit: 4,
    retryable: false,
    message: (d) => `Refused${because(d)}`,
    hint: 'The control API answers local programs only: exact Host, no Origin or Referer, JSON bodies.'
  }),
  ROUTE_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `There is no ${d['route']}`,
    hint: 'See docs/commands.md for every operation, or /v1/openapi.json of the gateway.'
  }),
  BODY_TOO_LARGE: entry({
    exit: 2,
    retryable: false,
    message: (d) => `The content has ${d['bytes']} bytes; at most ${d['max']} are carried`,
    hint: 'Send less, or split it.'
  }),
  NOT_PAIRED: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['peer']} is not paired with this node: volatile messages go between paired peers only`,
    hint: 'Pair with it first, or send a durable message, which it holds until it is approved.',
    next: ['synaptic-mesh p2p invite', 'synaptic-mesh p2p join INVITE']
  }),
  COMMAND_NOT_ALLOWED: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['peer']} takes no Command from this node`,
    hint: 'Commands are taken from paired peers only.',
    next: ['synaptic-mesh p2p invite', 'synaptic-mesh p2p join INVITE']
  }),

  // Names
  PEER_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `No peer is known as ${d['name']}`,
    hint: (d) => {
      if (Array.isArray(d['claimedBy']))
        return `A stranger claims this name, and nobody has checked that: ${d['claimedBy'].join(', ')}. If it is the one you mean, approve it by its peer id.`
      return Array.isArray(d['nearest']) && d['nearest'].length > 0
        ? `Nearest names: ${d['nearest'].join(', ')}`
        : 'Pair with it, or discover it first.'
    },
    next: ['synaptic-mesh p2p peers', 'synaptic-mesh p2p pending', 'synaptic-mesh p2p discover'],
    nextFor: ({ claimedBy, name }) =>
      Array.isArray(claimedBy) && claimedBy.length === 1
        ? [
            `synaptic-mesh p2p approve ${claimedBy[0]} --as ${typeof name === 'string' && plainName.test(name) ? name : 'ALIAS'}`,
            'synaptic-mesh p2p pending'
          ]
        : undefined
  }),
  MESSAGE_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `No message has the id ${d['id']}`,
    hint: 'List what there is.',
    next: ['synaptic-mesh p2p inbox', 'synaptic-mesh p2p outbox']
  })
} as const
