"""Joins one simulated stream with Zoom's own client (PyPI package rtms, 1.1.0) and prints a JSON line about it.

    official_client.py SIGNALING_URL STREAM_ID ID CA_FILE [options]

Credentials come from RTMS_CLIENT_ID and RTMS_CLIENT_SECRET. It ends as soon as the wanted amounts have arrived, when the
join is refused, or after --patience seconds; what is enough is for the caller to judge.
"""

import argparse
import collections
import json
import os
import sys
import threading


def parse():
    parser = argparse.ArgumentParser()
    for name in ("url", "stream_id", "id", "ca"):
        parser.add_argument(name)
    parser.add_argument("--until-audio", type=int, default=1)
    parser.add_argument("--until-transcripts", type=int, default=0)
    parser.add_argument("--until-video", type=int, default=0)
    parser.add_argument("--library-default", action="store_true", help="do not choose L16")
    parser.add_argument("--patience", type=float, default=25.0)
    return parser.parse_args()


class Report:
    """Counts what arrives; `finished` is set when there is nothing more to wait for."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.counts = collections.Counter()
        self.lines = []
        self.join = None
        self.finished = threading.Event()

    def joined(self, reason):
        self.join = reason
        if reason != 0:
            self.finished.set()

    def add(self, kind, size=0):
        self.counts[kind] += 1
        self.counts[kind + "_bytes"] += size
        if all(self.counts[name] >= amount for name, amount in self.wanted.items()):
            self.finished.set()

    def line(self, data):
        self.lines.append(bytes(data).decode("utf-8", "replace"))
        self.add("transcripts")

    def print(self):
        counts = {name: self.counts[name] for name in ("audio", "audio_bytes", "video", "transcripts")}
        print(json.dumps({"join": self.join, **counts, "lines": self.lines}), flush=True)


def main():
    args = parse()
    import rtms

    os.makedirs("logs", exist_ok=True)  # its native part writes there, in the working folder
    report = Report({"audio": args.until_audio, "transcripts": args.until_transcripts, "video": args.until_video})

    # The library wants everything on one thread: set up, join and poll all happen here.
    rtms.initialize(args.ca)
    loop, client = rtms.EventLoop(), rtms.Client()
    loop.add(client)
    if not args.library_default:
        client.set_audio_params(
            rtms.AudioParams(content_type=2, codec=1, sample_rate=1, channel=1, data_opt=1, duration=20, frame_size=320)
        )
    client.on_join_confirm(report.joined)
    client.on_audio_data(lambda data, size, timestamp, meta: report.add("audio", size))
    client.on_transcript_data(lambda data, size, timestamp, meta: report.line(data))
    if args.until_video:
        client.on_video_data(lambda data, size, timestamp, meta: report.add("video", size))
    client.join(
        engagement_id=args.id,
        rtms_stream_id=args.stream_id,
        server_urls=args.url,
        client=os.environ["RTMS_CLIENT_ID"],
        secret=os.environ["RTMS_CLIENT_SECRET"],
        ca=args.ca,
    )

    def end():
        report.finished.wait(args.patience)
        report.print()
        os._exit(0)  # its teardown may crash, and there is nothing left to learn from it

    threading.Thread(target=end, daemon=True).start()
    loop.run()


if __name__ == "__main__":
    sys.exit(main())
