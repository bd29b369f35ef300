#!/usr/bin/env bash
# Makes the content the simulator plays: a two-party conversation (two aligned WAVs and its captions), and pictures of
# cameras and of a shared screen. Run it in any folder of a machine with espeak-ng and ffmpeg; it writes beside itself.
# The result is committed, so that a build needs neither program. `make.sh pictures` makes only the small pictures.
set -euo pipefail
cd "$(dirname "$0")"
command -v ffmpeg >/dev/null || { echo "make.sh: ffmpeg is missing (apt-get install ffmpeg)" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Pictures of a few KiB: a second camera of another size and with other times, a shared screen, and both as images.
encode() { # filter frames keyint output -> Annex B, one slice a picture, parameter sets before each key picture
  ffmpeg -v error -y -f lavfi -i "$1" -frames:v "$2" -c:v libx264 -preset slow -crf 36 -pix_fmt yuv420p -threads 1 \
    -x264-params "bframes=0:keyint=$3:min-keyint=$3:scenecut=0:repeat-headers=1:slices=1:aud=0" -f h264 "$4"
}
pictures() {
  encode "testsrc=s=480x272:r=15:d=4" 30 15 second.h264
  { echo "# ms from the first frame, one line for each access unit of second.h264"
    for n in $(seq 0 29); do echo $((n * 200 / 3 + n % 4 * 5)); done; } > second_times.txt
  local bars="smptebars=s=640x360:r=8:d=3,drawbox=x=40:y=40:w=560:h=120:color=white:t=fill,drawbox=x=60:y=70:w=200:h=12:color=black:t=fill:enable='lt(mod(t,1),0.5)'"
  encode "$bars" 16 8 screen.h264
  { echo "# ms from the first frame, one line for each access unit of screen.h264"
    for n in $(seq 0 15); do echo $((n * 125)); done; } > screen_times.txt
  ffmpeg -v error -y -f lavfi -i "testsrc=s=160x96:r=1:d=4" -frames:v 3 -q:v 8 -fflags +bitexact camera_%d.jpg
  ffmpeg -v error -y -f lavfi -i "testsrc=s=160x96:r=1:d=4" -frames:v 3 -compression_level 9 -fflags +bitexact camera_%d.png
  local slides="smptehdbars=s=320x180:r=1:d=3,drawbox=x=20:y=20:w=200:h=30:color=white:t=fill:enable='gte(t,1)',drawbox=x=20:y=70:w=200:h=30:color=white:t=fill:enable='gte(t,2)'"
  ffmpeg -v error -y -f lavfi -i "$slides" -frames:v 3 -q:v 8 -fflags +bitexact screen_%d.jpg
  ffmpeg -v error -y -f lavfi -i "$slides" -frames:v 3 -compression_level 9 -fflags +bitexact screen_%d.png
}
if [ "${1:-}" = pictures ]; then pictures; ls -l; exit 0; fi
command -v espeak-ng >/dev/null || { echo "make.sh: espeak-ng is missing (apt-get install espeak-ng)" >&2; exit 2; }

rate=16000
length_ms=24000 # a whole number of packets for every usual send rate

# gap in ms after the end of the turn before (negative: the two overlap) | who | words
cat > "$work/turns" <<'TURNS'
900|Agent|Hello, this is Northwind support. How can I help you?
500|Customer|Hi, my parcel was due on Monday, and it is still not here.
450|Agent|I am sorry about that. Let me check. I will put you on hold for a moment.
-250|Customer|Sure.
1300|Customer|Hm. Monday, I think.
1500|Agent|Thank you for waiting. It is at the depot, and arrives tomorrow before noon.
-300|Customer|Oh great, that works for me. Thank you!
350|Agent|You are welcome. Have a good day.
250|Customer|Bye.
TURNS

voice() { # who -> espeak-ng arguments
  if [ "$1" = Agent ]; then echo "-v en-us+f3 -s 205 -p 55"; else echo "-v en-gb+m3 -s 200 -p 32"; fi
}
clock() { printf '%02d:%02d:%02d.%03d' $(($1 / 3600000)) $(($1 / 60000 % 60)) $(($1 / 1000 % 60)) $(($1 % 1000)); }

end_ms=0
n=0
printf 'WEBVTT\n\nNOTE Synthetic speech; times are those of the samples in conversation_*.wav\n' > conversation.vtt
: > "$work/Agent.list"; : > "$work/Customer.list"
while IFS='|' read -r gap who words; do
  n=$((n + 1))
  # shellcheck disable=SC2046
  espeak-ng $(voice "$who") -w "$work/$n.raw.wav" "$words"
  # Without the synthesizer's lead-in and tail, so that the caption times are those of the speech.
  ffmpeg -v error -y -i "$work/$n.raw.wav" -af "silenceremove=start_periods=1:start_threshold=-50dB,areverse,silenceremove=start_periods=1:start_threshold=-50dB,areverse,aresample=$rate,volume=0.7" \
    -ac 1 -ar $rate -c:a pcm_s16le "$work/$n.wav" </dev/null
  samples=$(ffprobe -v error -show_entries stream=duration_ts -of csv=p=0 "$work/$n.wav" </dev/null)
  start_ms=$((end_ms + gap))
  end_ms=$((start_ms + samples * 1000 / rate))
  printf '\n%s --> %s\n<v %s>%s</v>\n' "$(clock $start_ms)" "$(clock $end_ms)" "$who" "$words" >> conversation.vtt
  echo "$n $start_ms" >> "$work/$who.list"
done < "$work/turns"
[ "$end_ms" -lt "$length_ms" ] || { echo "make.sh: the conversation takes $end_ms ms, more than $length_ms" >&2; exit 1; }

# A little room noise (another one for each party): no two packets are alike, so a packet out of its place is seen.
track() { # who file seed
  local inputs=() filter="" labels="[room]" count=1 index=1
  inputs+=(-f lavfi -i "anoisesrc=r=$rate:a=0.0012:c=pink:seed=$3:d=$((length_ms / 1000))")
  filter="[0:a]aformat=sample_fmts=flt:channel_layouts=mono[room];"
  while read -r turn start_ms; do
    inputs+=(-i "$work/$turn.wav")
    filter+="[$index:a]adelay=$((start_ms * rate / 1000))S,apad=whole_len=$((length_ms * rate / 1000))[t$index];"
    labels+="[t$index]"; index=$((index + 1)); count=$((count + 1))
  done < "$work/$1.list"
  ffmpeg -v error -y "${inputs[@]}" -filter_complex "$filter${labels}amix=inputs=$count:normalize=0,atrim=end_sample=$((length_ms * rate / 1000))[out]" \
    -map '[out]' -ac 1 -ar $rate -c:a pcm_s16le -fflags +bitexact -flags:a +bitexact -map_metadata -1 "$2" </dev/null
}
track Customer conversation_left.wav 11
track Agent conversation_right.wav 23

# The clip: frames are missing here and there, one stretch of 400 ms has none, and the others are off the grid by some ms.
ffmpeg -v error -y -f lavfi -i "testsrc2=s=320x180:r=30:d=5" -vf \
  "select='not(eq(mod(n,7),3))*not(eq(mod(n,11),5))*not(between(n,62,73))',settb=1/1000,setpts='PTS+mod(N*7,9)'" -fps_mode passthrough \
  -c:v libx264 -preset slow -crf 30 -pix_fmt yuv420p -threads 1 \
  -x264-params "bframes=0:keyint=25:min-keyint=25:scenecut=0:repeat-headers=1:slices=1:aud=0" -enc_time_base 1/1000 "$work/clip.mkv"
ffmpeg -v error -y -i "$work/clip.mkv" -c copy -bsf:v h264_mp4toannexb -f h264 clip.h264
{ echo "# ms from the first frame, one line for each access unit of clip.h264"
  ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 "$work/clip.mkv" |
    awk -F, '{ t = int($1 * 1000 + 0.5); if (NR == 1) first = t; print t - first }'; } > clip_times.txt

pictures
cat conversation.vtt
ls -l
