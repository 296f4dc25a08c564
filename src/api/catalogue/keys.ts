import { command } from '../command.ts'

const file = { type: 'text', min: 1, max: 4_000, position: 0, flag: false, required: true, placeholder: 'FILE' } as const
const passphraseFile = { type: 'text', min: 1, max: 4_000, local: true, placeholder: 'FILE' } as const

const passphraseErrors = ['PASSPHRASE_WRONG', 'PASSPHRASE_UNUSABLE', 'PERMISSIONS_UNSAFE', 'PATH_UNSAFE'] as const

export const keysShow = command({
  words: ['keys', 'show'],
  isDefault: true,
  help: "print this node's peer id and public key, and whether its key file is encrypted",
  fields: {},
  examples: ['synaptic-mesh p2p keys', 'synaptic-mesh p2p keys show --json'],
  errors: ['NOT_INITIALIZED', 'KEY_CORRUPT', 'PERMISSIONS_UNSAFE', 'PATH_UNSAFE'],
  output: (z) => z.strictObject({ peerId: z.string(), publicKey: z.string(), encrypted: z.boolean(), file: z.string() })
})

export const keysBackup = command({
  words: ['keys', 'backup'],
  help: 'write the whole profile (identity, configuration, pairs, groups, messages) into one encrypted file, while the daemon runs or not',
  fields: {
    file: { ...file, local: true, help: 'the file to make; nothing may stand there' },
    passphraseFile: { ...passphraseFile, required: true, help: 'a file with the passphrase of the backup, mode 0600' }
  },
  examples: ['synaptic-mesh p2p keys backup mesh.backup --passphrase-file passphrase'],
  errors: [
    'NOT_INITIALIZED',
    'KEY_CORRUPT',
    'PASSPHRASE_UNUSABLE',
    'PERMISSIONS_UNSAFE',
    'PATH_UNSAFE',
    'STATE_IN_USE',
    'STATE_CORRUPT',
    'DISK_FULL'
  ],
  output: (z) =>
    z.strictObject({
      file: z.string(),
      bytes: z.int(),
      peerId: z.string(),
      encryptedIdentity: z.boolean(),
      files: z.array(z.strictObject({ name: z.string(), bytes: z.int() }))
    })
})

export const keysRestore = command({
  words: ['keys', 'restore'],
  help: 'make a profile from a backup: the same identity and pairs, and nothing is sent twice',
  fields: {
    file: { ...file, local: true, help: 'a file that keys backup made' },
    passphraseFile: { ...passphraseFile, required: true, help: 'a file with the passphrase of the backup, mode 0600' },
    force: { type: 'boolean', default: false, local: true, help: 'though the profile holds something; that is kept beside it' }
  },
  examples: ['synaptic-mesh p2p keys restore mesh.backup --passphrase-file passphrase'],
  errors: [
    'DAEMON_RUNNING',
    'PROFILE_NOT_EMPTY',
    'BACKUP_DAMAGED',
    'BACKUP_TRUNCATED',
    'BACKUP_NEWER',
    'STATE_NEWER',
    'DISK_FULL',
    ...passphraseErrors
  ],
  output: (z) =>
    z.strictObject({
      profile: z.string(),
      peerId: z.string(),
      madeAt: z.number(),
      expiredUnknown: z.int(),
      burntInvites: z.int(),
      voidTokens: z.boolean(),
      encryptedIdentity: z.boolean(),
      kept: z.array(z.string())
    })
})

export const keysPasswd = command({
  words: ['keys', 'passwd'],
  help: 'encrypt the key file with a passphrase, change that passphrase, or take it away',
  fields: {
    passphraseFile: {
      ...passphraseFile,
      help: 'the passphrase as it is now; by default the option passphrase_file; not for a key file that is plain'
    },
    newPassphraseFile: { ...passphraseFile, help: 'the passphrase from now on; its place is written to the option passphrase_file' },
    plain: { type: 'boolean', default: false, local: true, help: 'no passphrase from now on' }
  },
  examples: [
    'synaptic-mesh p2p keys passwd --new-passphrase-file passphrase',
    'synaptic-mesh p2p keys passwd --passphrase-file passphrase --new-passphrase-file passphrase2',
    'synaptic-mesh p2p keys passwd --passphrase-file passphrase2 --plain'
  ],
  errors: ['NOT_INITIALIZED', 'KEY_CORRUPT', 'PASSPHRASE_NEEDED', ...passphraseErrors],
  output: (z) => z.strictObject({ peerId: z.string(), encrypted: z.boolean(), passphraseFile: z.string() })
})

/** A copy of the store for a backup: made by the daemon, in the profile's own folder. */
export const snapshot = command({
  words: ['snapshot'],
  help: 'copy the store as it is now',
  fields: {},
  examples: [],
  errors: ['PATH_UNSAFE', 'DISK_FULL'],
  output: (z) => z.strictObject({ file: z.string() }),
  route: { method: 'POST', path: '/v1/snapshot', scope: 'admin', socketOnly: true }
})
