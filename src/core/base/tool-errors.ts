import { because, entry, type ErrorEntry } from './error-entry.ts'

/** Errors of tools: diagnosis, keys and backups, the gateway. Part of the one table. */
export const toolErrors = {
  // Diagnosis
  DOCTOR_FAILED: entry({
    exit: 1,
    retryable: false,
    message: (d) => `${d['failed']} of ${d['checks']} checks failed: ${(d['names'] as readonly string[]).join(', ')}`,
    hint: (d) => (d['fixable'] === true ? 'Some of it can be mended for you.' : 'Each check says above what to do.'),
    next: ['synaptic-mesh p2p doctor --fix'],
    nextFor: ({ fixable }) => (fixable === true ? undefined : [])
  }),

  // Keys and backups
  PASSPHRASE_NEEDED: entry({
    exit: 4,
    retryable: false,
    message: (d) => `The key file ${d['file']} is encrypted, and no passphrase file is named`,
    hint: 'Name it with --passphrase-file, in the option passphrase_file, or in SYNAPTIC_MESH_PASSPHRASE_FILE.'
  }),
  PASSPHRASE_WRONG: entry({
    exit: 4,
    retryable: false,
    message: (d) => `The passphrase does not open ${d['file']}`,
    hint: 'Nothing was changed. There is no way around a passphrase that is lost.'
  }),
  PASSPHRASE_UNUSABLE: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['file']} holds no passphrase${because(d)}`,
    hint: 'It is one line of 8 to 1,024 bytes in a file of your own with mode 0600.'
  }),
  BACKUP_DAMAGED: entry({
    exit: 8,
    retryable: false,
    message: (d) => `${d['file']} is no backup that can be trusted${because(d)}`,
    hint: 'Nothing of it was taken over. Use another copy.'
  }),
  BACKUP_TRUNCATED: entry({
    exit: 8,
    retryable: false,
    message: (d) => `The backup ${d['file']} ends too early`,
    hint: 'Nothing of it was taken over. Copy it again as a whole.'
  }),
  BACKUP_NEWER: entry({
    exit: 1,
    retryable: false,
    message: (d) => `The backup ${d['file']} was made by a newer version (format ${d['found']}, this one knows ${d['known']})`,
    hint: 'Use the newer version. Nothing was touched.'
  }),
  PROFILE_NOT_EMPTY: entry({
    exit: 3,
    retryable: false,
    message: (d) => `The profile ${d['profile']} holds something already: ${d['file']}`,
    hint: 'Restore into another profile with --profile NAME, or say --force: what is there is then kept beside it.'
  }),

  // The gateway
  GATEWAY_BUSY: entry({
    exit: 3,
    retryable: true,
    message: (d) => `There are as many ${d['what']} as there may be (${d['max']})`,
    hint: 'Close one that is not needed, or wait until one ends.'
  }),
  TOKEN_EXISTS: entry({
    exit: 9,
    retryable: false,
    message: (d) => `There is a token named ${d['name']} already`,
    hint: 'Choose another name, or revoke that one first.',
    next: ['synaptic-mesh p2p gateway token list']
  }),
  TOKEN_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `There is no token named ${d['name']}`,
    hint: 'See which there are.',
    next: ['synaptic-mesh p2p gateway token list']
  })
} as const satisfies Record<string, ErrorEntry>
