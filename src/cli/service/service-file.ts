import type { serviceKinds } from '../../api/catalogue/service.ts'

export type ServiceKind = (typeof serviceKinds)[number]

/** What a service runs. Every path is absolute. */
export interface ServiceProgram {
  readonly profile: string
  /** The program and its arguments. */
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Where what a dying daemon says goes; the log has a file of its own. */
  readonly crashLog: string
}

/** In every file that `service install` writes; a file without it is somebody else's. */
export const marker = 'Made by synaptic-mesh p2p service install'

/** The file of a user service. */
export const serviceText = (kind: ServiceKind, program: ServiceProgram): string => (kind === 'systemd' ? systemdUnit(program) : launchdPlist(program))

/** The name under which the manager of services knows the daemon of a profile. */
export function serviceName(kind: ServiceKind, profile: string): string {
  if (kind === 'launchd') return `synaptic-mesh.${profile}`
  return profile === 'default' ? 'synaptic-mesh.service' : `synaptic-mesh-${profile}.service`
}

/** One word of a unit file (systemd.syntax(7) and systemd.service(5)): quoted, with specifiers and variables switched off. */
const unitWord = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`
const unitSetting = (name: string, value: string): string =>
  `"${`${name}=${value}`.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`

/**
 * Hardened as far as the manager of a user's services can go without namespaces of its own, which many systems do not let users have.
 * MemoryDenyWriteExecute is absent: V8 writes the code that it runs.
 */
function systemdUnit({ profile, command, environment }: ServiceProgram): string {
  return `# ${marker}
[Unit]
Description=Synaptic Mesh, profile ${profile}
Documentation=man:synaptic-mesh(1)
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart=${command.map(unitWord).join(' ')}
${Object.entries(environment)
  .map(([name, value]) => `Environment=${unitSetting(name, value)}`)
  .join('\n')}
Restart=on-failure
RestartSec=5
# Wrong configuration (2), a daemon that runs already (3), files that others may read (4): starting again would not help.
RestartPreventExitStatus=2 3 4
KillSignal=SIGTERM
TimeoutStopSec=20
UMask=0077
LimitCORE=0
LimitNOFILE=65536
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=default.target
`
}

const xml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function launchdPlist({ profile, command, environment, crashLog }: ServiceProgram): string {
  const texts = (list: readonly string[]): string => list.map((text) => `    <string>${xml(text)}</string>`).join('\n')
  const variables = Object.entries(environment).map(([name, value]) => `    <key>${xml(name)}</key><string>${xml(value)}</string>`)
  return `<?xml version="1.0" encoding="UTF-8"?>
<!-- ${marker} -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>${xml(serviceName('launchd', profile))}</string>
  <key>ProgramArguments</key>
  <array>
${texts(command)}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
${variables.join('\n')}
  </dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key><false/>
  </dict>
  <key>ThrottleInterval</key><integer>10</integer>
  <key>Umask</key><integer>63</integer>
  <key>StandardErrorPath</key><string>${xml(crashLog)}</string>
</dict>
</plist>
`
}
