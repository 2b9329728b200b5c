"""Who scripts' sockets talk to: servers on loopback, in threads of the test."""

import contextlib
import datetime
import ipaddress
import socket
import socketserver
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Peer:
    """A server that calls talk(socket, peer) for each connection."""

    def __init__(self, talk, context=None):
        peer = self
        self.talked = self.ended = 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                peer.talked += 1
                with contextlib.suppress(OSError):
                    if context:
                        self.request = context.wrap_socket(self.request,
                                                           server_side=True)
                    talk(self.request, peer)
                peer.ended += 1
                self.request.close()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True
            request_queue_size = 64

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def echo(connection, _peer):
    while data := connection.recv(65536):
        connection.sendall(data)


class Datagrams:
    """A UDP server: answer(bytes) -> bytes, or None for no answer."""

    def __init__(self, answer):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.answer, self.asked = answer, 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data, sender = self.socket.recvfrom(65536)
                self.asked += 1
                answer = self.answer(data)
                if answer is not None:
                    self.socket.sendto(answer, sender)

    def close(self):
        self.socket.close()


def nameserver(hosts):
    """A DNS server that knows the IPv4 addresses of these names."""
    def answer(query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        address = hosts.get(".".join(labels).lower())
        known = address and question[-3] == 1  # an A record
        head = query[:2] + (b"\x81\x80" if address else b"\x81\x83") + \
            b"\0\1" + (b"\0\1" if known else b"\0\0") + b"\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + \
            socket.inet_aton(address) if known else b""
        return head + question + record
    return Datagrams(answer)


def certificate(folder, name="peer.test"):
    """A certificate that vouches for itself, and its key: two paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.utcnow()
    cert = (x509.CertificateBuilder().subject_name(subject)
            .issuer_name(subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(
                [x509.DNSName(name),
                 x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(True, None), True)
            .sign(key, hashes.SHA256()))
    pem, secret = folder / f"{name}.crt", folder / f"{name}.key"
    pem.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    return pem, secret


def tls_context(pem, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context
