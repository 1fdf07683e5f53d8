/* The floor: what decoding, mixing to mono, resampling and writing WAV costs with libsndfile and soxr HQ and nothing
   else. Reads payloads behind their 32-bit lengths from argv[1], writes WAV files end to end to argv[2], and prints the
   seconds of audio, the CPU seconds and the clock's.
   cc -O2 floor.c -o floor -lsndfile -lsoxr -lm */
#include <math.h>
#include <sndfile.h>
#include <soxr.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef struct { const unsigned char *bytes; sf_count_t size, at; } Memory;

static sf_count_t length(void *user) { return ((Memory *)user)->size; }
static sf_count_t tell(void *user) { return ((Memory *)user)->at; }
static sf_count_t seek(sf_count_t offset, int whence, void *user) {
    Memory *memory = user;
    memory->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? memory->at + offset : memory->size + offset;
    return memory->at;
}
static sf_count_t get(void *target, sf_count_t count, void *user) {
    Memory *memory = user;
    if (count > memory->size - memory->at) count = memory->size - memory->at;
    memcpy(target, memory->bytes + memory->at, count);
    memory->at += count;
    return count;
}
static sf_count_t put(const void *source, sf_count_t count, void *user) { (void)source, (void)count, (void)user; return 0; }

static void fail(const char *what) { fprintf(stderr, "floor: %s\n", what); exit(1); }
static void word(unsigned char *at, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) at[i] = value >> (8 * i);
}

int main(int argc, char **argv) {
    if (argc != 3) fail("needs a pack and an output file");
    FILE *pack = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    if (!pack || !out) fail("can't open its files");
    double heard = 0;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint32_t size;
    while (fread(&size, 4, 1, pack) == 1) {
        unsigned char *payload = malloc(size);
        if (fread(payload, 1, size, pack) != size) fail("a payload ends early");
        Memory memory = {payload, size, 0};
        SF_VIRTUAL_IO io = {length, seek, get, put, tell};
        SF_INFO info = {0};
        SNDFILE *file = sf_open_virtual(&io, SFM_READ, &info, &memory);
        if (!file) fail(sf_strerror(NULL));
        float *frames = malloc(sizeof(float) * info.frames * info.channels);
        sf_count_t count = sf_readf_float(file, frames, info.frames);
        sf_close(file);
        if (info.channels > 1)
            for (sf_count_t i = 0; i < count; i++) {
                float sum = 0;
                for (int c = 0; c < info.channels; c++) sum += frames[i * info.channels + c];
                frames[i] = sum / info.channels;
            }
        size_t room = (size_t)(count * 16000.0 / info.samplerate) + 64, made = count;
        float *samples = frames;
        if (info.samplerate != 16000) {
            samples = malloc(sizeof(float) * room);
            soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
            soxr_error_t error = soxr_oneshot(info.samplerate, 16000, 1, frames, count, NULL, samples, room, &made,
                                              NULL, &quality, NULL);
            if (error) fail(soxr_strerror(error));
        }
        int16_t *pcm = malloc(2 * made);
        for (size_t i = 0; i < made; i++) {
            float value = rintf(samples[i] * 32768);
            pcm[i] = value > 32767 ? 32767 : value < -32768 ? -32768 : (int16_t)value;
        }
        unsigned char header[44] = "RIFF....WAVEfmt ";
        word(header + 4, 36 + 2 * made, 4), word(header + 16, 16, 4), word(header + 20, 1, 2), word(header + 22, 1, 2);
        word(header + 24, 16000, 4), word(header + 28, 32000, 4), word(header + 32, 2, 2), word(header + 34, 16, 2);
        memcpy(header + 36, "data", 4), word(header + 40, 2 * made, 4);
        if (fwrite(header, 44, 1, out) != 1 || fwrite(pcm, 2, made, out) != made) fail("can't write");
        heard += made / 16000.0;
        free(pcm), free(payload);
        if (samples != frames) free(samples);
        free(frames);
    }
    if (fclose(out)) fail("can't write");
    clock_gettime(CLOCK_MONOTONIC, &end);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    double wall = end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9;
    printf("{\"seconds\": %.3f, \"cpu\": %.4f, \"wall\": %.4f, \"start\": 0}\n", heard, cpu, wall);
    return 0;
}
