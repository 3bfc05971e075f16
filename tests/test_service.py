"""The service over real connections: results, refusals, deadlines, workers that die, and an orderly end."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from skimage import data

from hashigo.cli.main import main
from hashigo.models.folder import open_model
from hashigo.service.settings import Limits
from serving import Running, serving

pytest.importorskip("fastapi")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(
        tmp_path_factory.mktemp("service"), "--workers", "2", "--model", "colorizer", "--model", "fast"
    ) as running:
        yield running


def grey_photo(height: int = 200, width: int = 300, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(data.astronaut()).convert("L").resize((width, height)).save(stream, "JPEG", **options)
    return stream.getvalue()


def exif(text: str) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010E] = text
    tags[0x0112] = 6
    return tags


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", ()),
        ("?vivid=0.2", ("--vivid", "0.2")),
        ("?whole=true", ("--whole",)),
        (
            f"?hint={quote('50,60,#b03a2e')}&hint={quote('10,20,#2e3ab0')}",
            ("--hint", "50,60,#b03a2e", "--hint", "10,20,#2e3ab0"),
        ),
        ("?format=png", ("--format", "png")),
        ("?quality=70", ("--quality", "70")),
    ],
)
def test_the_result_is_that_of_the_command_line(
    service: Running, tmp_path: Path, query: str, options: tuple[str, ...]
) -> None:
    photo = tmp_path / "old.jpg"
    photo.write_bytes(grey_photo(exif=exif("Grandmother"), dpi=(300, 300)))
    target = tmp_path / ("new.png" if "png" in query else "new.jpg")
    assert main(["colorize", str(photo), "-o", str(target), *options]) == 0
    reply = service.colorize(photo.read_bytes(), query)
    assert reply.status == 200
    assert reply.body == target.read_bytes()
    assert reply.headers["content-type"] == ("image/png" if "png" in query else "image/jpeg")
    assert Image.open(io.BytesIO(reply.body)).getexif()[0x010E] == "Grandmother"


def test_a_deep_scan_stays_deep_and_notes_tell_what_is_lost(service: Running) -> None:
    stream = io.BytesIO()
    Image.fromarray((data.camera().astype(np.uint16) * 257)[:100, :120]).save(stream, "PNG")
    png = service.colorize(stream.getvalue(), Content_Type="application/octet-stream")
    assert png.status == 200
    assert png.body[24] == 16  # bits per channel, in the header of PNG
    jpeg = service.colorize(stream.getvalue(), "?format=jpeg")
    assert "16 bits" in jpeg.headers["hashigo-notes"]


def test_a_preview_is_reduced_with_its_hints(service: Running) -> None:
    reply = service.colorize(grey_photo(400, 600), f"?width=150&hint={quote('300,200,#c02020')}")
    assert reply.headers["hashigo-size"] == "150x100"
    red, green, blue = np.asarray(Image.open(io.BytesIO(reply.body)))[50, 75].astype(int)
    assert red > green + 15
    assert red > blue + 15


def test_headers_tell_model_and_time(service: Running) -> None:
    reply = service.ask("POST", "/v1/models/fast/apply", grey_photo(), **{"Content_Type": "image/jpeg"})
    assert reply.status == 200
    assert reply.headers["hashigo-model"] == "fast"
    stages = [part.partition(";")[0] for part in reply.headers["server-timing"].split(", ")]
    assert stages == ["queue", "read", "network", "write"]


@pytest.mark.parametrize(
    ("status", "words", "query", "photo", "headers"),
    [
        (400, "empty body", "", b"", {}),
        (403, "from http://evil.example", "", b"x", {"Origin": "http://evil.example"}),
        (403, "cross-site", "", b"x", {"Sec_Fetch_Site": "cross-site"}),
        (403, "'evil.example'", "", b"x", {"Host": "evil.example"}),
        (413, "at most 20 MB, got 20.5 MB", "", bytes(20_500_000), {}),
        (415, "got text/plain", "", b"x", {"Content_Type": "text/plain"}),
        (415, "begins with b'hello'", "", b"hello", {}),
        (422, "damaged or cut short", "", grey_photo()[:3000], {}),
        (422, "expected at most 100 hints, got 101", "?" + "&".join(["hint=1,1,%23ff0000"] * 101), b"x", {}),
        (422, "within the photo, 300 pixels wide", "?hint=900,1,%23ff0000", grey_photo(), {}),
        (422, "x,y,#rrggbb", "?hint=red", b"x", {}),
        (422, "vivid: expected at most 1", "?vivid=2", b"x", {}),
        (422, "did you mean 'vivid'?", "?vivd=0.2", b"x", {}),
        (422, "suffix of a picture format", "?format=doc", b"x", {}),
    ],
)
def test_refusals(service: Running, status: int, words: str, query: str, photo: bytes, headers: dict[str, str]) -> None:
    reply = service.colorize(photo, query, **headers)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")
    assert words in reply.detail
    assert service.colorize(grey_photo(20, 30)).status == 200


def test_other_addresses_and_methods(service: Running) -> None:
    missing = service.ask("POST", "/v1/models/colorzer/apply", b"x", **{"Content_Type": "image/jpeg"})
    assert (missing.status, "did you mean 'colorizer'" in missing.detail) == (404, True)
    assert service.ask("GET", "/v2").status == 404
    assert service.ask("GET", "/v1/colorize").status == 405


def test_facts(service: Running) -> None:
    models = json.loads(service.ask("GET", "/v1/models").body)
    assert [(model["name"], model["default"], model["hints"]) for model in models] == [
        ("colorizer", True, True),
        ("fast", False, True),
    ]
    assert json.loads(service.ask("GET", "/v1/limits").body)["queue_photos"] == 64
    paths = json.loads(service.ask("GET", "/openapi.json").body)["paths"]
    assert {"/v1/colorize", "/v1/models/{name}/apply", "/livez", "/readyz", "/metrics"} <= set(paths)
    service.colorize(grey_photo(20, 30))
    for _ in range(100):
        figures = service.ask("GET", "/metrics").body.decode()
        if "hashigo_workers_ready 2.0" in figures:
            break
        time.sleep(0.05)
    assert "hashigo_workers_ready 2.0" in figures
    assert 'hashigo_requests_total{route="/v1/colorize",status="200"}' in figures


def test_the_documents_list_every_limit() -> None:
    text = (Path(__file__).parent.parent / "docs" / "service.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE))
    assert rows == {name: f"{value:g}" for name, value in asdict(Limits()).items()}


def test_every_answer_is_safe_for_browsers(service: Running) -> None:
    for reply in (
        service.ask("GET", "/v1/models"),
        service.ask("GET", "/nothing"),
        service.ask("GET", "/", Host="evil.example"),
    ):
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in reply.headers


def raw(running: Running, content: bytes, seconds: float = 5) -> bytes:
    """What comes back for bytes that need not be HTTP."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=seconds) as connection:
        connection.sendall(content)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except TimeoutError:
            received += b" (still open)"
        return received


@pytest.mark.parametrize(
    "content",
    [
        b"hello\r\n\r\n",
        b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/colorize HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * 300,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http(service: Running, content: bytes) -> None:
    received = raw(service, content)
    assert received.split(b" ")[1] in (b"400", b"403", b"415", b"431")
    assert not received.endswith(b"(still open)")
    assert service.colorize(grey_photo(20, 30)).status == 200


def test_an_early_refusal_arrives_and_the_rest_is_not_read_for_long(service: Running) -> None:
    head = b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(head)
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        try:
            while time.monotonic() - start < 8:
                connection.sendall(chunk)
        except OSError:
            pass
        else:
            pytest.fail("endless chunks were read")
    whole = b"".join([head, *[chunk] * 330, b"0\r\n\r\n"])
    assert b"at most 20 MB" in raw(service, whole)


@pytest.mark.parametrize(("status", "query", "size"), [(413, "", 21_000_000), (422, "?vivid=2", 15_000_000)])
def test_clients_that_close_can_read_an_early_refusal(service: Running, status: int, query: str, size: int) -> None:
    address = f"http://127.0.0.1:{service.port}/v1/colorize{query}"
    asked = Request(address, bytes(size), {"Content-Type": "image/jpeg"})  # urllib sends "Connection: close"
    with pytest.raises(HTTPError) as refused:
        urlopen(asked)
    assert refused.value.code == json.loads(refused.value.read())["status"] == status


def test_a_photo_in_small_packets_is_taken(service: Running) -> None:
    photo = grey_photo()
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n\r\n"
        connection.sendall(head.encode())
        for start in range(0, len(photo), 40):
            connection.sendall(photo[start : start + 40])
            time.sleep(0.0005)
        assert connection.recv(12) == b"HTTP/1.1 200"


def send_slowly(connection: socket.socket) -> None:
    for _ in range(20):
        connection.sendall(b"x")
        time.sleep(0.05)


def test_no_connection_stays_open_for_nothing(tmp_path: Path) -> None:
    photo = grey_photo(1500, 2000)
    limits = ("--limit", "head_seconds=1", "--limit", "body_seconds=1")
    with serving(tmp_path, "--workers", "1", *limits) as running:

        def begun(content: bytes) -> socket.socket:
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", running.port))
            connection.sendall(content)
            return connection

        # answered before its body is there
        idle = begun(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        time.sleep(0.2)
        idle.sendall(b"12345")
        deaf = begun(b"POST /v1/colorize?format=bmp HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                     % len(photo) + photo)  # never reads its answer  # fmt: skip
        time.sleep(5)
        idle.settimeout(1)
        while idle.recv(1000):
            pass
        idle.close()
        with deaf, pytest.raises(ConnectionError):
            send_slowly(deaf)


def test_photos_that_arrive_count_as_memory(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", "--limit", "queue_mb=1") as running:
        head = b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 900000\r\n\r\n"
        with (
            socket.create_connection(("127.0.0.1", running.port)) as one,
            socket.create_connection(("127.0.0.1", running.port)) as other,
        ):
            for connection in (one, other):
                connection.sendall(head)
            time.sleep(0.2)
            one.sendall(bytes(700_000))
            time.sleep(0.2)
            other.sendall(bytes(700_000))
            assert other.recv(12) == b"HTTP/1.1 429"
        for _ in range(100):
            if b"hashigo_queue_bytes 0.0" in running.ask("GET", "/metrics").body:
                return
            time.sleep(0.05)
        pytest.fail("memory is counted that is not used")


def test_sigterm_while_it_starts(tmp_path: Path) -> None:
    for delay in (0.3, 0.5, 0.7):
        command = [sys.executable, "-m", "hashigo.cli.main", "serve", "--port", "0", "--allow-root"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(delay)
        process.terminate()
        said = "".join(process.communicate(timeout=20))
        assert process.returncode in (0, 143), said
        assert "Traceback" not in said


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_workers_that_end_while_they_wait_cost_no_photo(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as running:
        assert running.colorize(grey_photo()).status == 200
        time.sleep(1)
        for number in running.workers():
            os.kill(number, signal.SIGKILL)
        time.sleep(0.5)
        assert [running.colorize(grey_photo()).status for _ in range(4)] == [200] * 4


def test_photos_do_not_wait_for_ever_for_workers_that_cannot_start(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(open_model("fast").path, model)
    limits = ("--limit", "photos_per_worker=1", "--limit", "queue_seconds=1")
    with serving(tmp_path, "--workers", "1", "--model", str(model), *limits) as running:
        model.rename(tmp_path / "gone")
        assert running.colorize(grey_photo()).status == 200
        late = running.colorize(grey_photo())
        assert (late.status, "free worker within 1 s" in late.detail) == (503, True)
        assert running.ask("GET", "/readyz").status == 503
        (tmp_path / "gone").rename(model)
        for _ in range(200):
            if running.ask("GET", "/readyz").status == 200:
                break
            time.sleep(0.1)
        assert running.colorize(grey_photo()).status == 200


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_killed_worker_fails_its_own_photo_only(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as running, ThreadPoolExecutor(8) as threads:
        photo = grey_photo(2000, 3000)
        replies = [threads.submit(running.colorize, photo) for _ in range(24)]
        time.sleep(0.4)
        os.kill(running.workers()[0], signal.SIGKILL)
        statuses = Counter(reply.result().status for reply in replies)
        assert statuses == {200: 23, 500: 1}
        assert 'worker_restarts_total{reason="died"} 1.0' in running.ask("GET", "/metrics").body.decode()


def test_sigterm_answers_what_was_accepted(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as running, ThreadPoolExecutor(12) as threads:
        photo = grey_photo(1000, 1500)
        held = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        held.request("GET", "/readyz")
        assert held.getresponse().read() == b"ready\n"
        replies = [threads.submit(running.colorize, photo) for _ in range(12)]
        time.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        held.request("GET", "/readyz")
        assert held.getresponse().status == 503
        held.close()
        assert Counter(reply.result().status for reply in replies) == {200: 12}
        assert running.process.wait(10) == 0
        assert running.workers() == []


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", "--limit", "queue_photos=2") as running, ThreadPoolExecutor(12) as threads:
        photo = grey_photo(3000, 4000)
        replies = [reply.result() for reply in [threads.submit(running.colorize, photo) for _ in range(12)]]
        statuses = Counter(reply.status for reply in replies)
        assert set(statuses) == {200, 429}
        assert statuses[200] >= 2
        refused = next(reply for reply in replies if reply.status == 429)
        assert 1 <= int(refused.headers["retry-after"]) < 60
        assert refused.headers["content-type"] == "application/problem+json"
        assert "a full one" in refused.detail
        counted = running.ask("GET", "/metrics").body.decode()
        assert f'{{route="/v1/colorize",status="429"}} {statuses[429]:.1f}' in counted


def test_a_refusal_can_be_read_while_a_large_photo_is_being_sent(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", "--limit", "queue_photos=1") as running, ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(running.colorize, grey_photo(6000, 6000)) for _ in range(2)]
        for _ in range(400):
            if b"hashigo_queue_photos 1.0" in running.ask("GET", "/metrics").body:
                break
            time.sleep(0.005)
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(b"POST /v1/colorize?vivid=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
                               b"Content-Length: 15000000\r\n\r\n")  # fmt: skip
            for _ in range(15):
                connection.sendall(bytes(1_000_000))
            assert connection.recv(12) == b"HTTP/1.1 429"
        assert running.ask("GET", "/livez").status == 200, "other requests are not refused"
        assert {reply.result().status for reply in waiting} == {200}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", "--limit", "work_seconds=1") as running:
        assert running.colorize(grey_photo()).status == 200
        os.kill(running.workers()[0], signal.SIGSTOP)
        start = time.monotonic()
        late = running.colorize(grey_photo())
        assert (late.status, "within 1 s" in late.detail) == (504, True)
        assert time.monotonic() - start < 5
        for _ in range(100):
            if running.ask("GET", "/readyz").status == 200:
                break
            time.sleep(0.1)
        time.sleep(0.5)
        assert running.colorize(grey_photo()).status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_a_photo_beyond_the_memory_fails_alone(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", "--limit", "worker_mb=130") as running:
        large = running.colorize(grey_photo(6000, 6000))
        assert (large.status, "memory, got none" in large.detail) == (413, True)
        for _ in range(100):
            if running.ask("GET", "/readyz").status == 200:
                break
            time.sleep(0.1)
        assert running.colorize(grey_photo()).status == 200


def test_slow_clients_are_cut_off_while_others_are_served(tmp_path: Path) -> None:
    limits = ("--limit", "head_seconds=1", "--limit", "body_seconds=2", "--limit", "connections_per_address=100")
    with serving(tmp_path, "--workers", "1", *limits) as running:
        heads = {"idle": b"", "head": b"POST /v1/colorize HT", "body": b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\n"
                 b"Content-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\nabc"}  # fmt: skip
        ended: dict[str, list[float]] = {kind: [] for kind in heads}
        start = time.monotonic()

        def wait(kind: str) -> None:
            with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
                connection.sendall(heads[kind])
                while connection.recv(4096):
                    pass
            ended[kind].append(time.monotonic() - start)

        threads = [threading.Thread(target=wait, args=(kind,)) for kind in heads for _ in range(15)]
        for thread in threads:
            thread.start()
        assert {running.colorize(grey_photo()).status for _ in range(10)} == {200}
        for thread in threads:
            thread.join()
        assert max(ended["idle"]) < 3
        assert max(ended["head"]) < 3
        assert max(ended["body"]) < 6


def test_connections_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", "--limit", "connections_per_address=3") as running:
        time.sleep(0.2)
        held = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(3)]
        try:
            time.sleep(0.2)
            received = raw(running, b"")
            assert received.startswith(b"HTTP/1.1 429")
            assert b"at most 3 connections" in received
        finally:
            for connection in held:
                connection.close()


def test_a_photo_whose_client_has_left_is_dropped(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as running, ThreadPoolExecutor(1) as threads:
        photo = grey_photo(4000, 6000)
        first = threads.submit(running.colorize, photo)
        time.sleep(0.2)
        head = f"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n\r\n"
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", running.port)) as connection:
                connection.sendall(head.encode() + photo)
                time.sleep(0.05)
        assert first.result().status == 200
        assert running.colorize(grey_photo()).status == 200
        photos = [
            line
            for line in running.ask("GET", "/metrics").body.decode().splitlines()
            if line.startswith("hashigo_photos_total")
        ]
        assert photos == ['hashigo_photos_total{model="colorizer"} 2.0']


def test_a_token_is_required(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", "--token", "secret") as running:
        assert running.colorize(grey_photo()).status == 403
        assert running.colorize(grey_photo(), Authorization="Bearer wrong").status == 403
        assert running.colorize(grey_photo(), Authorization="Bearer secret").status == 200


def test_logs_are_json_without_names_or_queries(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as running:
        running.colorize(grey_photo(), "?hint=1,1,%23ff0000")
        running.ask("GET", "/grandmother.jpg?token=secret")
        lines = [line for line in running.log.read_text().splitlines() if line.startswith("{")]
    entries = [json.loads(line) for line in lines]
    assert {"method", "route", "status", "seconds", "time"} <= set(entries[-1])
    assert not any(word in line for line in lines for word in ("ff0000", "grandmother", "secret"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "colorzer"], "did you mean 'colorizer'"),
        (["--model", "fast", "--model", "fast"], "different names"),
        (["--limit", "queue=3"], "did you mean"),
        (["--limit", "queue_photos=many"], "a whole number above 0"),
        (["--host", "no.such.host.example"], "an address of this computer"),
    ],
)
def test_wrong_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--allow-root", "--port", "0", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--allow-root", "--port", str(port)]) == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="not root")
def test_root_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0"]) == 2
    assert "--allow-root" in capsys.readouterr().err


def test_odd_origins_methods_and_formats(service: Running) -> None:
    photo = grey_photo()
    assert service.colorize(photo, **{"Origin": "http://["}).status == 403
    assert service.ask("HEAD", "/livez").status == service.ask("HEAD", "/").status == 200
    assert service.ask("DELETE", "/livez").headers["allow"] == "GET"
    assert "%23" in service.colorize(photo, "?hint=1,5,").detail
    assert service.colorize(photo, "?vivid=nan").status == 422
    stream = io.BytesIO()
    Image.fromarray(data.camera()).resize((60, 60)).save(stream, "GIF")
    converted = service.colorize(stream.getvalue())
    assert (converted.headers["content-type"], "GIF photo has a PNG result" in converted.headers["hashigo-notes"]) == (
        "image/png",
        True,
    )
    coloured = io.BytesIO()
    Image.fromarray(data.coffee()).save(coloured, "JPEG")
    assert service.colorize(coloured.getvalue()).headers["hashigo-was-coloured"] == "1"
    assert "hashigo-was-coloured" not in service.colorize(photo).headers


@pytest.mark.parametrize(
    "words", [("--token", ""), ("--token", "a b"), ("--token", "ключ"), ("--allow-host", "http://x/")]
)
def test_wrong_words_of_serve(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--allow-root", "--port", "0", *words]) == 2
    assert words[0] in capsys.readouterr().err


def test_nothing_is_written_to_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(grey_photo())
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "HASHIGO_STATE": str(tmp_path / "state")}
    command = [sys.executable, "-m", "hashigo.cli.main", "colorize", str(tmp_path / "photo.jpg")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert list(home.iterdir()) == [], "OpenVINO's telemetry would keep a client id there"
