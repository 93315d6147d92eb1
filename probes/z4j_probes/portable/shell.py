"""The commands that hints name, in the words of the system that they are read on.

Linux's and macOS's are for bash and zsh, Windows' for PowerShell. Each is complete: it can be pasted as it
stands. Capital words (NAME, ADDRESS, DIR) are for the reader to replace.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from z4j_probes.portable.system import by_system, has_glibc, is_windows


def quote(text: str) -> str:
    """The text as one word of a command line."""
    if not is_windows():
        return shlex.quote(text)
    return text if _is_plain(text) else "'" + text.replace("'", "''") + "'"


def _is_plain(text: str) -> bool:
    return bool(text) and all(c.isalnum() or c in "_-.:/\\" for c in text)


# Settings


def set_variable(name: str, value: str, *, is_quoted: bool = False) -> str:
    """Set a variable of the shell's environment; the value as it is, unless it `is_quoted` already."""
    if is_windows():
        return f"$env:{name} = " + (value if is_quoted else "'" + value.replace("'", "''") + "'")
    return f"export {name}={value if is_quoted else quote(value)}"


def copy_variable(name: str, source: str) -> str:
    """Give a variable another one's value."""
    return by_system(
        f'export {name}="${source}"', f'export {name}="${source}"', f"$env:{name} = $env:{source}"
    )


def program(path: str) -> str:
    """The program as the first word of a command line: PowerShell takes a quoted one for a text."""
    quoted = quote(path)
    return f"& {quoted}" if is_windows() and quoted != path else quoted


def type_variable(name: str) -> str:
    """Read a line without echo into a variable of the environment."""
    read = f"read -rs {name} && export {name}"
    return by_system(read, read, f"$env:{name} = {_READ_SECRET}")


def type_file(path: str) -> str:
    """Read a line without echo into a file."""
    read = f"(read -rs line && printf '%s\\n' \"$line\" > {quote(path)})"
    return by_system(read, read, f"{_READ_SECRET} | Set-Content -NoNewline {quote(path)}")


# PowerShell 5 and later: no echo, and the text again of what Read-Host wraps
_READ_SECRET = "[Net.NetworkCredential]::new('', (Read-Host -AsSecureString)).Password"


# Network


def listening(port: int | str = "", *, kind: str = "tcp") -> str:
    """What listens on a port of this machine; on every port, where none is given."""
    if is_windows():
        query = "Get-NetUDPEndpoint" if kind == "udp" else "Get-NetTCPConnection -State Listen"
        return f"{query} -LocalPort {port}" if port else query
    flag = "-lnup" if kind == "udp" else "-ltnp"
    linux = f"ss {flag} 'sport = :{port}'" if port else "ss -ltn"
    at = f":{port}" if port else ""
    return by_system(linux, f"sudo lsof -nP -i{kind.upper()}{at}" + (" -sTCP:LISTEN" * (kind == "tcp")), "")


def route(address: str) -> str:
    """The route that packets to it take."""
    return by_system(
        f"ip route get {address}", f"route -n get {address}", f"Find-NetRoute -RemoteIPAddress {address}"
    )


def loopback_up() -> str:
    """Bring up the interface of this machine with itself, which a new network namespace has down."""
    return by_system("sudo ip link set lo up", "sudo ifconfig lo0 up", "")


def neighbor(address: str) -> str:
    """Whether a machine of the local network has the address."""
    return by_system(f"ip neigh show {address}", f"arp -n {address}", f"Get-NetNeighbor -IPAddress {address}")


def trace(address: str, port: int) -> str:
    """Where packets to that port are dropped."""
    return by_system(
        f"sudo traceroute -T -p {port} {address}",
        f"sudo traceroute -P tcp -p {port} {address}",
        f"tracert -d {address}",
    )


def firewall() -> str:
    """The rules of this machine's firewall."""
    blocking = "Get-NetFirewallRule -Direction Outbound -Action Block -Enabled True"
    return by_system("sudo nft list ruleset", "sudo pfctl -sr", blocking)


def local_ports() -> str:
    """What uses the ports that connections go out from, and which they are."""
    return by_system(
        "ss -s; sysctl net.ipv4.ip_local_port_range",
        "netstat -an -p tcp; sysctl net.inet.ip.portrange",
        "netsh interface ipv4 show dynamicport tcp; Get-NetTCPConnection | Group-Object State",
    )


def ping_with(size: int, address: str) -> str:
    """Whether a packet with so many bytes arrives without being cut up."""
    return by_system(
        f"ping -c 3 -M do -s {size} {address}",
        f"ping -c 3 -D -s {size} {address}",
        f"ping -n 3 -f -l {size} {address}",
    )


def lower_mtu(address: str, mtu: int) -> str:
    """Send smaller packets on the interface that leads to the address."""
    device = f"$(ip -o route get {address} | grep -oP ' dev \\K\\S+')"
    interface = f"$(route -n get {address} | awk '/interface:/ {{print $2}}')"
    index = f"(Find-NetRoute -RemoteIPAddress {address})[0].InterfaceIndex"
    return by_system(
        f'sudo ip link set dev "{device}" mtu {mtu}',
        f'sudo ifconfig "{interface}" mtu {mtu}',
        f"Set-NetIPInterface -InterfaceIndex {index} -NlMtuBytes {mtu}",
    )


def open_tls(address: str, options: str) -> str:
    """What the server of a TLS handshake sends; Windows has no program for that."""
    command = f"openssl s_client -connect {quote(address)}{options} </dev/null"
    return by_system(command, command, "")


def save_certificate(shown: str) -> str:
    """Write the certificate that a handshake shows to brain.pem, and print its fingerprint."""
    save = f"{shown} | openssl x509 > brain.pem && openssl x509 -in brain.pem -noout -fingerprint -sha256"
    return by_system(save, save, "")


def curl() -> str:
    """The program that asks web servers; in Windows PowerShell, plain `curl` is another one."""
    return by_system("curl", "curl", "curl.exe")


# Names


def look_up(name: str) -> str:
    """What the system resolver says of it."""
    return by_system(
        f"getent ahosts {name}", f"dscacheutil -q host -a name {name}", f"Resolve-DnsName {name}"
    )


def time_look_up(name: str) -> str:
    """How long the system resolver takes."""
    return by_system(
        f"time {look_up(name)}", f"time {look_up(name)}", f"Measure-Command {{ {look_up(name)} }}"
    )


def ask_dns(name: str, *, server: str = "", port: str = "53", options: str = "", tcp: bool = False) -> str:
    """What the name servers, or that one, say of it. `options` are dig's, and left out on Windows."""
    if is_windows():
        at = f" -Server {server}" if server else ""
        return f"Resolve-DnsName {name}{at} -DnsOnly{' -TcpOnly' if tcp else ''}"
    words = ["dig", options, f"-p {port}" if port != "53" else "", "+tcp" if tcp else ""]
    return " ".join(word for word in [*words, f"@{server}" if server else "", name] if word)


def compare_resolvers(name: str, *, catalogue: bool = False) -> str:
    """The system resolver beside the name servers, and what the system is told of both."""
    told = by_system("cat /etc/nsswitch.conf" if catalogue else "grep hosts: /etc/nsswitch.conf", "", "")
    if (not is_windows() and not told) or not has_glibc():
        told = by_system("cat /etc/resolv.conf", "scutil --dns", "Get-DnsClientServerAddress")
    return f"{look_up(name)}; {ask_dns(name)}; {told}"


def name_sources(name: str) -> str:
    """Which sources of nsswitch.conf are asked, and what comes of it; only glibc has such sources."""
    return by_system(f"grep hosts: /etc/nsswitch.conf; {look_up(name)}", "", "")


def hosts_and_all_sources(name: str) -> str:
    """What the hosts file says of it, and what all sources of nsswitch.conf say."""
    return by_system(f"getent -s files hosts {name}; {look_up(name)}", "", "")


def install_mdns() -> str:
    """Have glibc ask for names that end in .local."""
    return by_system("sudo apt install libnss-mdns", "", "")


def ask_one_by_one() -> str:
    """Have glibc ask for A and AAAA by two sockets, where one answer of two is lost."""
    option = "echo 'options single-request-reopen' | sudo tee -a /etc/resolv.conf"
    return by_system(option, "", "")


def search_list(variables: Iterable[str] = ()) -> str:
    """The domains that complete a name, and the variables that have a part in it."""
    listed = "".join(f"; printenv {name}" for name in variables)
    return by_system(
        f"grep -E 'search|ndots' /etc/resolv.conf{listed}",
        "scutil --dns | grep search",
        "Get-DnsClientGlobalSetting",
    )


def correct_name_servers() -> str:
    """Take carriage returns and indentation out of resolv.conf; in place, since a container's is a mount."""
    script = (
        r"sed 's/\r$//; s/^[ \t]*//' /etc/resolv.conf > /tmp/resolv.conf; "
        "cat /tmp/resolv.conf > /etc/resolv.conf"
    )
    return by_system(f'sudo sh -c "{script}"', "", "")


def let_all_read(path: str) -> str:
    """Let each user of this machine read a file of the system's."""
    unix = f"sudo chmod a+r {quote(path)}"
    return by_system(unix, unix, f'icacls {quote(path)} /grant "Users:R"')


def start_resolver(service: str) -> str:
    """Start the resolver of this machine again."""
    macos = "sudo killall -HUP mDNSResponder"
    return by_system(f"sudo systemctl restart {service}", macos, "Restart-Service Dnscache")


def add_local_name(address: str, name: str, hosts_file: str) -> str:
    """Add a line to the hosts file."""
    unix = f"echo '{address} {name}' | sudo tee -a {hosts_file}"
    return by_system(unix, unix, f"Add-Content {quote(hosts_file)} '{address} {name}'")


def find_name(name: str, hosts_file: str) -> str:
    """The lines of the hosts file with the name."""
    unix = f"grep -nw {name} {hosts_file}"
    return by_system(unix, unix, f"Select-String {name} {quote(hosts_file)}")


# Files


def mount_of(path: str) -> str:
    """Which file system the path is on."""
    return by_system(
        f"findmnt -T {quote(path)}", f"df {quote(path)}; mount", f"Get-Item {quote(path)} | Format-List *"
    )


def free_space(path: str) -> str:
    """How much room the path's file system has."""
    return by_system(f"df -h {quote(path)}", f"df -h {quote(path)}", "Get-PSDrive -PSProvider FileSystem")


def all_room(path: str = "", uid: int | None = None) -> str:
    """Room, inodes and quota there."""
    at = f" {quote(path)}" if path else ""
    of = "" if uid is None else f" -u {uid}"
    drives = "Get-PSDrive -PSProvider FileSystem"
    return by_system(f"df -h{at}; df -i{at}; quota{of}", f"df -h{at}; df -i{at}; quota{of}", drives)


def disk_errors(path: str) -> str:
    """What the system's log says of the disk."""
    return by_system(
        f"findmnt -T {quote(path)}; sudo dmesg | tail",
        f"df {quote(path)}; sudo dmesg | tail",
        "Get-WinEvent -MaxEvents 20 @{LogName='System'; ProviderName='disk','Ntfs'}",
    )


def holders(path: str) -> str:
    """Which processes have files there open."""
    return by_system(
        f"fuser -v {quote(path)}/*",
        f"sudo lsof +D {quote(path)}",
        "Get-Process python* | Format-List Id, Path",
    )


def list_directory(path: str) -> str:
    """What is in a directory, with modes."""
    return by_system(f"ls -la {quote(path)}", f"ls -la {quote(path)}", f"Get-ChildItem -Force {quote(path)}")


def modes_above(path: str) -> str:
    """Who may enter the directories that lead to it."""
    return by_system(f"namei -l {quote(path)}", f"ls -leOd {quote(path)}", f"icacls {quote(path)}")


def identify(path: str) -> str:
    """What kind of file it is."""
    return by_system(f"file {quote(path)}", f"file {quote(path)}", f"Format-Hex {quote(path)}")


def make_private(path: str, uid: int | None) -> str:
    """Create a directory that only this user can use."""
    unix = f"sudo install -d -m 0700 -o {uid} {quote(path)}"
    windows = f"mkdir {quote(path)}; {_grant(path)}"
    return by_system(unix, unix, windows)


def take_over(path: str, uid: int | None) -> str:
    """Make this user the only owner of a directory."""
    unix = f"sudo chown -R {uid} {quote(path)} && sudo chmod 0700 {quote(path)}"
    return by_system(unix, unix, _grant(path))


def close_directory() -> str:
    """The same in general."""
    unix = "sudo chown -R USER DIR && sudo chmod 0700 DIR"
    return by_system(unix, unix, "icacls DIR /inheritance:r /grant:r 'USER:(OI)(CI)F'")


def _grant(path: str) -> str:
    return f'icacls {quote(path)} /inheritance:r /grant:r "${{env:USERNAME}}:(OI)(CI)F"'


def allow_group(path: str, gid: int | None, mode: int) -> str:
    """Let this user read a file that is another's."""
    unix = f"sudo chgrp {gid} {quote(path)} && sudo chmod {mode:04o} {quote(path)}"
    return by_system(unix, unix, f'icacls {quote(path)} /grant "${{env:USERNAME}}:R"')


def move(path: str, target: str) -> str:
    """Give a file or directory another name."""
    unix = f"sudo mv {quote(path)} {quote(target)}"
    return by_system(unix, unix, f"Move-Item {quote(path)} {quote(target)}")


def as_user(owner: str, command: str) -> str:
    """Run a command as another user."""
    unix = f"sudo -u {quote(owner)} {command}"
    return by_system(unix, unix, f'runas /user:{owner} "{command}"')


def unix_line_ends(paths: Iterable[str]) -> str:
    """Take the carriage returns out of files."""
    if is_windows():
        listed = ", ".join(map(quote, paths))
        return (
            f'{listed} | ForEach-Object {{ (Get-Content -Raw $_) -replace "`r" | Set-Content -NoNewline $_ }}'
        )
    named = " ".join(map(quote, paths))
    return by_system(rf"sed -i 's/\r$//' {named}", rf"perl -pi -e 's/\r$//' {named}", "")


def without_mark(path: str) -> str:
    """Take a byte order mark out of a file."""
    return by_system(
        rf"sed -i '1s/^\xEF\xBB\xBF//' {path}",
        rf"perl -pi -e 's/^\xEF\xBB\xBF// if $. == 1' {path}",
        f"$text = Get-Content -Raw {path}; [IO.File]::WriteAllText((Resolve-Path {path}), $text)",
    )


def for_systemd(path: str) -> str:
    """Take out of an env file what a shell or an editor of Windows has in front of a name."""
    script = r"1s/^\xEF\xBB\xBF//; s/^[[:blank:]]*export[[:blank:]]*//"
    return by_system(f"sudo sed -i '{script}' {quote(path)}", "", "")


def pem_of_bundle(path: str, made: str, *, is_der: bool) -> str:
    """Get the certificates out of a PKCS #7 file."""
    unix = (
        f"openssl pkcs7 {'-inform der ' if is_der else ''}-print_certs -in {quote(path)} -out {quote(made)}"
    )
    return by_system(unix, unix, f"certutil -split -dump {quote(path)}")


def pem_of_certificate(path: str, made: str) -> str:
    """Write a DER certificate as PEM."""
    unix = f"openssl x509 -inform der -in {quote(path)} -out {quote(made)}"
    return by_system(unix, unix, f"certutil -encode {quote(path)} {quote(made)}")


def pem_of_keystore(path: str, made: str) -> str:
    """Get the certificates out of a PKCS #12 file; it asks for the file's password."""
    unix = f"openssl pkcs12 -nokeys -in {quote(path)} -out {quote(made)}"
    return by_system(unix, unix, f"certutil -split -dump {quote(path)}")


def decoded_base64(path: str, made: str) -> str:
    """Decode a file that is base64 as a whole."""
    return by_system(
        f"base64 -d {quote(path)} > {quote(made)}",
        f"base64 -D -i {quote(path)} -o {quote(made)}",
        f"certutil -decode {quote(path)} {quote(made)}",
    )


def with_pem_lines(path: str, made: str) -> str:
    """Put the lines of a PEM certificate around its base64."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    unix = f"(echo {begin}; fold -w 64 {quote(path)}; echo; echo {end}) > {quote(made)}"
    return by_system(
        unix, unix, f"'{begin}', (Get-Content {quote(path)}), '{end}' | Set-Content {quote(made)}"
    )


def as_utf8(path: str, encoding: str = "utf-16") -> str:
    """Rewrite a text as UTF-8, in the same file."""
    unix = f"text=$(iconv -f {encoding} -t utf-8 {quote(path)}) && printf '%s\\n' \"$text\" > {quote(path)}"
    return by_system(unix, unix, without_mark(quote(path)))


def break_at_escapes(path: str) -> str:
    """Put line breaks where a backslash and an n stand."""
    perl = rf"perl -pi -e 's/\\n/\n/g' {quote(path)}"
    windows = (
        f"(Get-Content -Raw {quote(path)}) -replace '\\\\n', \"`n\" | Set-Content -NoNewline {quote(path)}"
    )
    return by_system(rf"sed -i 's/\\n/\n/g' {quote(path)}", perl, windows)


def break_at_spaces(path: str) -> str:
    """Put the line breaks of a PEM file where spaces stand."""
    perl = rf"perl -pi -e 's/(?<!BEGIN|.END) /\n/g' {quote(path)}"
    unix = rf"sed -i 's/ /\n/g; s/\(BEGIN\|END\)\nCERT/\1 CERT/g' {quote(path)}"
    windows = (
        f"(Get-Content -Raw {quote(path)}) -replace '(?<!BEGIN|END) ', \"`n\" | "
        f"Set-Content -NoNewline {quote(path)}"
    )
    return by_system(unix, perl, windows)


def without_indentation(path: str) -> str:
    """Remove the white space that lines begin with."""
    windows = f"(Get-Content {quote(path)}).TrimStart() | Set-Content {quote(path)}"
    return by_system(
        rf"sed -i 's/^[[:space:]]*//' {quote(path)}", rf"perl -pi -e 's/^\s*//' {quote(path)}", windows
    )


def break_between_certificates(path: str) -> str:
    """Put a line break between two PEM blocks."""
    return by_system(
        rf"sed -i 's/-----\(-----BEGIN\)/-----\n\1/' {quote(path)}",
        rf"perl -pi -e 's/-----(-----BEGIN)/-----\n$1/' {quote(path)}",
        f"(Get-Content -Raw {quote(path)}) -replace '-----(-----BEGIN)', \"-----`n`$1\" | "
        f"Set-Content -NoNewline {quote(path)}",
    )


# This machine


def more_files() -> str:
    """Let this process have more files open."""
    return by_system("ulimit -n 65536", "ulimit -n 65536", "")


def larger_files() -> str:
    """Let this shell's programs write files of any size."""
    return by_system("ulimit -f unlimited", "ulimit -f unlimited", "")


def more_threads() -> str:
    """Let this user have more threads."""
    return by_system("ulimit -u 4096", "ulimit -u 4096", "")


def open_files() -> str:
    """What a process has open."""
    return by_system("ls -l /proc/PID/fd", "lsof -p PID", "(Get-Process -Id PID).HandleCount")


def show_clock() -> str:
    """The time here, and whether it is kept."""
    return by_system("date -u; timedatectl", "date -u; sntp time.apple.com", "Get-Date; w32tm /query /status")


def set_clock() -> str:
    """Have the time kept by a time server."""
    return by_system("sudo timedatectl set-ntp true", "sudo sntp -sS time.apple.com", "w32tm /resync")
