/** Flags that every command takes, with what they mean. */
export const globalFlags: readonly (readonly [string, string])[] = [
  ['--json', 'one JSON value on stdout, errors as JSON on stderr'],
  ['--profile <name>', 'which node of this machine (default: default)'],
  ['--config <file>', 'another configuration file'],
  ['--data-dir <folder>', 'keep everything of the profile there'],
  ['--timeout <seconds>', 'how long to wait for the daemon (default 30)'],
  ['--quiet', 'no talk on stderr'],
  ['--no-start', 'do not start a daemon'],
  ['--ephemeral', 'run the node in this process, for this command']
]
