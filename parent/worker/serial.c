/* SPDX-License-Identifier: MIT */
#include "parent/worker/serial.h"

#include <string.h>

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RECEIVE  0x01u
#define IER_TRANSMIT 0x02u
#define IER_LINE     0x04u
#define IER_MASK     0x0fu

#define IIR_NONE     0x01u
#define IIR_TRANSMIT 0x02u
#define IIR_RECEIVE  0x04u
#define IIR_LINE     0x06u
#define IIR_FIFO     0xc0u

#define FCR_ENABLE        0x01u
#define FCR_CLEAR_RECEIVE 0x02u

#define LCR_DLAB 0x80u

#define MCR_DTR      0x01u
#define MCR_RTS      0x02u
#define MCR_OUT1     0x04u
#define MCR_OUT2     0x08u /* on a PC it connects the interrupt line */
#define MCR_LOOPBACK 0x10u
#define MCR_MASK     0x1fu

#define LSR_DATA    0x01u
#define LSR_OVERRUN 0x02u
#define LSR_EMPTY   0x60u /* holding register and shift register */

#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI  0x40u
#define MSR_DCD 0x80u

void bh_serial_init(struct bh_serial *serial, const struct bh_serial_host *host)
{
    memset(serial, 0, sizeof(*serial));
    serial->host = *host;
    serial->divisor = 12; /* 9600 baud */
}

/* The most urgent cause of an interrupt, as the IIR shows it. */
static uint8_t cause(const struct bh_serial *serial)
{
    if ((serial->ier & IER_LINE) != 0 && serial->overrun)
        return IIR_LINE;
    if ((serial->ier & IER_RECEIVE) != 0 && serial->count > 0)
        return IIR_RECEIVE;
    if ((serial->ier & IER_TRANSMIT) != 0 && serial->transmit_pending)
        return IIR_TRANSMIT;
    return IIR_NONE;
}

static void update_line(struct bh_serial *serial)
{
    bool line = (serial->mcr & MCR_OUT2) != 0 && (serial->mcr & MCR_LOOPBACK) == 0 &&
                cause(serial) != IIR_NONE;

    if (line == serial->line)
        return;
    serial->line = line;
    serial->host.interrupt(serial->host.context, line);
}

static unsigned capacity(const struct bh_serial *serial)
{
    return (serial->fifo_control & FCR_ENABLE) != 0 ? BH_SERIAL_FIFO : 1;
}

static bool push(struct bh_serial *serial, uint8_t byte)
{
    if (serial->count >= capacity(serial))
        return false;
    serial->fifo[(serial->first + serial->count) % BH_SERIAL_FIFO] = byte;
    serial->count++;
    return true;
}

size_t bh_serial_input(struct bh_serial *serial, const uint8_t *data, size_t length)
{
    size_t taken = 0;

    if ((serial->mcr & MCR_LOOPBACK) != 0)
        return 0;
    while (taken < length && push(serial, data[taken]))
        taken++;
    update_line(serial);
    return taken;
}

static uint8_t read_data(struct bh_serial *serial)
{
    uint8_t byte;

    if (serial->count == 0)
        return 0;
    byte = serial->fifo[serial->first];
    serial->first = (serial->first + 1) % BH_SERIAL_FIFO;
    serial->count--;
    if (serial->count == 0 && serial->host.input_wanted != NULL)
        serial->host.input_wanted(serial->host.context);
    return byte;
}

static uint8_t read_iir(struct bh_serial *serial)
{
    uint8_t value = cause(serial);

    if (value == IIR_TRANSMIT)
        serial->transmit_pending = false;
    return value | ((serial->fifo_control & FCR_ENABLE) != 0 ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct bh_serial *serial)
{
    uint8_t value = LSR_EMPTY;

    if (serial->count > 0)
        value |= LSR_DATA;
    if (serial->overrun)
        value |= LSR_OVERRUN;
    serial->overrun = false;
    return value;
}

/* In loopback the modem outputs come back as inputs; else a terminal is there and ready. */
static uint8_t read_msr(const struct bh_serial *serial)
{
    uint8_t value = 0;

    if ((serial->mcr & MCR_LOOPBACK) == 0)
        return MSR_CTS | MSR_DSR | MSR_DCD;
    if ((serial->mcr & MCR_RTS) != 0)
        value |= MSR_CTS;
    if ((serial->mcr & MCR_DTR) != 0)
        value |= MSR_DSR;
    if ((serial->mcr & MCR_OUT1) != 0)
        value |= MSR_RI;
    if ((serial->mcr & MCR_OUT2) != 0)
        value |= MSR_DCD;
    return value;
}

static uint8_t read_register(struct bh_serial *serial, unsigned reg)
{
    bool dlab = (serial->lcr & LCR_DLAB) != 0;

    switch (reg) {
    case REG_DATA:
        return dlab ? (uint8_t)serial->divisor : read_data(serial);
    case REG_IER:
        return dlab ? (uint8_t)(serial->divisor >> 8) : serial->ier;
    case REG_IIR_FCR:
        return read_iir(serial);
    case REG_LCR:
        return serial->lcr;
    case REG_MCR:
        return serial->mcr;
    case REG_LSR:
        return read_lsr(serial);
    case REG_MSR:
        return read_msr(serial);
    default:
        return serial->scr;
    }
}

static void write_data(struct bh_serial *serial, uint8_t byte)
{
    if ((serial->mcr & MCR_LOOPBACK) == 0)
        serial->host.output(serial->host.context, byte);
    else if (!push(serial, byte))
        serial->overrun = true;
    serial->transmit_pending = true;
}

static void write_ier(struct bh_serial *serial, uint8_t value)
{
    uint8_t newly = value & (uint8_t)~serial->ier;

    serial->ier = value & IER_MASK;
    if ((newly & IER_TRANSMIT) != 0)
        serial->transmit_pending = true; /* the transmitter is empty, so it interrupts at once */
}

static void write_fcr(struct bh_serial *serial, uint8_t value)
{
    bool toggled = ((value ^ serial->fifo_control) & FCR_ENABLE) != 0;

    serial->fifo_control = value & FCR_ENABLE;
    if (toggled || (value & FCR_CLEAR_RECEIVE) != 0) {
        serial->count = 0;
        if (serial->host.input_wanted != NULL)
            serial->host.input_wanted(serial->host.context);
    }
}

static void write_register(struct bh_serial *serial, unsigned reg, uint8_t value)
{
    bool dlab = (serial->lcr & LCR_DLAB) != 0;

    switch (reg) {
    case REG_DATA:
        if (dlab)
            serial->divisor = (uint16_t)((serial->divisor & 0xff00u) | value);
        else
            write_data(serial, value);
        break;
    case REG_IER:
        if (dlab)
            serial->divisor = (uint16_t)((serial->divisor & 0xffu) | (unsigned)value << 8);
        else
            write_ier(serial, value);
        break;
    case REG_IIR_FCR:
        write_fcr(serial, value);
        break;
    case REG_LCR:
        serial->lcr = value;
        break;
    case REG_MCR:
        serial->mcr = value & MCR_MASK;
        break;
    case REG_SCR:
        serial->scr = value;
        break;
    default: /* LSR and MSR are read only */
        break;
    }
}

static uint64_t serial_read(void *context, uint64_t offset, unsigned size)
{
    struct bh_serial *serial = context;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_register(serial, (unsigned)offset + i) << 8 * i;
    update_line(serial);
    return value;
}

static void serial_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    struct bh_serial *serial = context;

    for (unsigned i = 0; i < size; i++)
        write_register(serial, (unsigned)offset + i, (uint8_t)(value >> 8 * i));
    update_line(serial);
}

struct bh_bus_device bh_serial_device(struct bh_serial *serial)
{
    return (struct bh_bus_device){.read = serial_read, .write = serial_write, .context = serial};
}
